"""From an empty folder to recommendations with the commands of the README, and through a restart."""

import json
from pathlib import Path
from typing import Any

import clickhouse_connect
import psycopg2
import pytest

from dataflix_testkit import movielens
from dataflix_testkit.stack import Stack, fresh_stack

USER = 1


def first_row(stack: Stack, user: str, variable: str, query: str) -> tuple[Any, ...]:
    client = clickhouse_connect.get_client(
        host="127.0.0.1",
        port=int(stack.settings["DATAFLIX_CLICKHOUSE_PORT"]),
        username=user,
        password=stack.settings[variable],
    )
    return tuple(client.query(query).result_rows[0])


@pytest.mark.also_on_movielens
def test_every_service_is_healthy(stack: Stack) -> None:
    result = stack.command("run.sh", "status", "--json")
    assert result.returncode == 0, result.stdout
    waited_for = [row for row in json.loads(result.stdout)["services"] if row["name"] != "superset"]
    assert len(waited_for) >= 10
    assert all(row["healthy"] for row in waited_for)


@pytest.mark.also_on_movielens
def test_the_run_is_green_with_a_task_for_each_dbt_model(stack: Stack) -> None:
    runs = stack.airflow("dags/elt_pipeline/dagRuns?limit=10")["dag_runs"]
    assert [run["state"] for run in runs] == ["success"]
    path = f"dags/elt_pipeline/dagRuns/{runs[0]['dag_run_id']}/taskInstances?limit=200"
    tasks = stack.airflow(path)["task_instances"]
    assert {task["state"] for task in tasks} == {"success"}
    names = " ".join(task["task_id"] for task in tasks)
    models = Path(__file__).resolve().parents[1].joinpath("dbt", "models").rglob("*.sql")
    missing = [model.stem for model in models if model.stem not in names]
    assert missing == []


@pytest.mark.also_on_movielens
def test_recommendations_are_unseen_movies_with_reasons(stack: Stack) -> None:
    answer = stack.api(f"/recommendations/{USER}?n=10")
    movies = [entry["movie_id"] for entry in answer["data"]]
    assert len(set(movies)) == 10
    assert [entry["rank"] for entry in answer["data"]] == list(range(1, 11))
    assert all(entry["reason"]["text"] and entry["reason"]["because"] for entry in answer["data"])
    assert answer["meta"]["model_version"] == "1"
    with (
        psycopg2.connect(
            host="127.0.0.1",
            port=stack.settings["DATAFLIX_POSTGRES_PORT"],
            dbname="dataflix",
            user="postgres",
            password=stack.settings["DATAFLIX_POSTGRES_ADMIN_PASSWORD"],
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "select movie_id from ratings where user_id = %(u)s "
            "union select movie_id from watched_movies where user_id = %(u)s",
            {"u": USER},
        )
        seen = {row[0] for row in cursor}
    assert seen
    assert not seen & set(movies)


@pytest.mark.also_on_movielens
def test_the_warehouse_has_no_names_or_addresses(stack: Stack) -> None:
    masked = "match(email_hash, '^[0-9a-f]{64}$') and match(username_hash, '^[0-9a-f]{64}$')"
    masked += " and match(first_name, '^.?[*]{3}$') and match(last_name, '^.?[*]{3}$')"
    query = f"select count(), countIf({masked}) from raw.users"
    total, fine = first_row(stack, "dataflix_admin", "DATAFLIX_CLICKHOUSE_ADMIN_PASSWORD", query)
    assert total > 100
    assert fine == total


@pytest.mark.also_on_movielens
def test_the_batch_lists_have_unseen_movies_for_every_user(stack: Stack) -> None:
    query = """
        select
            uniqExact(user_id),
            (select count() from analytics.dim_users),
            groupUniqArray(model_version),
            countIf((user_id, movie_id) in (select user_id, movie_id from analytics.user_item_matrix))
        from analytics.recommendations
    """
    users, known, versions, seen = first_row(stack, "reader", "DATAFLIX_CLICKHOUSE_READER_PASSWORD", query)
    assert (users, list(versions), seen) == (known, ["1"], 0)


@pytest.mark.also_on_movielens
def test_every_service_passes_its_functional_check(stack: Stack) -> None:
    stack.wait_for_superset()
    result = stack.script("doctor.py", "--json")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.also_on_movielens
def test_a_rating_changes_the_next_answer_and_survives_a_restart(stack: Stack) -> None:
    before = stack.cli("recommend", str(USER), "-n", "10")["data"]
    chosen = before[0]["movie_id"]
    stack.cli("rate", str(USER), str(chosen), "5")
    after = stack.cli("recommend", str(USER), "-n", "10")["data"]
    assert chosen not in [entry["movie_id"] for entry in after]
    kept = [entry["movie_id"] for entry in before[1:]]
    assert [entry["movie_id"] for entry in after][:9] != kept or after[0]["score"] != before[1]["score"]

    assert stack.command("stop.sh").returncode == 0
    assert stack.command("run.sh", "status").returncode == 1
    assert stack.command("stop.sh").returncode == 0
    again = stack.command("run.sh")
    assert again.returncode == 0, again.stderr
    assert stack.cli("recommend", str(USER), "-n", "10")["data"] == after
    assert len(stack.airflow("dags/elt_pipeline/dagRuns?limit=10")["dag_runs"]) == 1

    assert stack.command("run.sh").returncode == 0
    stack.cli("ratings", "remove", str(USER), str(chosen))
    assert stack.cli("recommend", str(USER), "-n", "10")["data"] == before


@pytest.mark.also_on_movielens
def test_a_second_data_set_is_refused(stack: Stack, tmp_path: Path) -> None:
    result = stack.command("run.sh", "--data", str(movielens.write_csv(tmp_path / "other")))
    assert result.returncode == 1
    assert "already holds other data" in result.stderr


def test_an_error_names_a_taken_port_and_nothing_starts(stack: Stack) -> None:
    with fresh_stack() as second:
        second.environ["DATAFLIX_MLFLOW_PORT"] = stack.settings["DATAFLIX_BACKEND_PORT"]
        result = second.command("run.sh")
        assert result.returncode == 1
        assert "DATAFLIX_MLFLOW_PORT" in result.stderr
        assert second.command("run.sh", "status").returncode == 1


def test_a_folder_without_a_data_set_is_refused(tmp_path: Path) -> None:
    with fresh_stack() as fresh:
        (tmp_path / "notes.txt").write_text("no movies here")
        for path in (tmp_path, tmp_path / "nowhere"):
            result = fresh.command("run.sh", "--data", str(path))
            assert result.returncode == 1
            assert str(path) in result.stderr
        assert not fresh.env_file.exists()
