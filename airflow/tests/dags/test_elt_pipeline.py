"""Airflow reads the DAG without an error, and its graph is the one in `elt_pipeline.json`.

A change of the graph, such as a new name of a dbt model, shows in that file's diff. To write it again:
UPDATE_SNAPSHOTS=1 airflow/.venv/bin/pytest airflow/tests/dags
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dataflix_stack.airflow.environment import airflow_environment

ROOT = Path(__file__).resolve().parents[3]
SNAPSHOT = Path(__file__).with_name("elt_pipeline.json")
DESCRIBE = Path(__file__).parents[1] / "support" / "describe_dags.py"

# Nothing listens there: Airflow must be able to read the DAG without any service.
SERVICES = ("POSTGRES", "CLICKHOUSE", "TRAINER", "AIRFLOW")
SECRETS = (
    *(
        "POSTGRES_ELT_PASSWORD",
        "POSTGRES_AIRFLOW_PASSWORD",
        "CLICKHOUSE_ELT_PASSWORD",
        "CLICKHOUSE_DBT_PASSWORD",
    ),
    *("TRAINER_TOKEN", "AIRFLOW_FERNET_KEY", "AIRFLOW_API_SECRET", "AIRFLOW_JWT_SECRET"),
)

Description = dict[str, Any]


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Description:
    """What Airflow reads in the DAG folder."""
    home = tmp_path_factory.mktemp("home")
    environ = {"DATAFLIX_HOME": str(home), "DATAFLIX_POSTGRES_DB": "dataflix", "PATH": os.environ["PATH"]}
    environ |= {f"DATAFLIX_{name}_HOST": "127.0.0.1" for name in SERVICES}
    environ |= {f"DATAFLIX_{name}_PORT": "1" for name in SERVICES}
    environ |= {f"DATAFLIX_{name}": "a secret of sixteen" for name in SECRETS}
    out = home / "dags.json"
    command = [sys.executable, str(DESCRIBE), str(ROOT / "airflow" / "dags"), str(out)]
    result = subprocess.run(
        command, env=airflow_environment(environ, ROOT), capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    found: Description = json.loads(out.read_text())
    return found


@pytest.fixture(scope="module")
def tasks(described: Description) -> dict[str, Any]:
    found: dict[str, Any] = described["dags"]["elt_pipeline"]["tasks"]
    return found


def upstream(tasks: dict[str, Any], task_id: str) -> set[str]:
    """Return all tasks that come before a task."""
    direct = {name for name, task in tasks.items() if task_id in task["downstream"]}
    return direct.union(*(upstream(tasks, name) for name in direct))


def test_there_is_one_dag_and_no_error(described: Description) -> None:
    assert described["errors"] == {}
    (name,) = described["dags"]
    dag = described["dags"][name]
    assert name == "elt_pipeline"
    assert (dag["schedule"], dag["catchup"], dag["max_active_runs"]) == ("0 3 * * *", False, 1)
    assert dag["documented"]
    assert "dataflix" in dag["tags"]


def test_the_graph_is_the_known_one(tasks: dict[str, Any]) -> None:
    graph = {
        name: {"type": task["type"], "downstream": task["downstream"]} for name, task in sorted(tasks.items())
    }
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(json.dumps(graph, indent=2) + "\n")
    assert graph == json.loads(SNAPSHOT.read_text())


def test_each_dbt_model_is_a_task(tasks: dict[str, Any]) -> None:
    models = {path.stem for path in (ROOT / "dbt" / "models").rglob("*.sql")}
    watching = {
        name.removeprefix("dbt.") for name in tasks if "watcher" not in name and name.startswith("dbt.")
    }

    assert watching == models


def test_nothing_is_trained_before_every_model_and_the_whole_build_have_passed(tasks: dict[str, Any]) -> None:
    before = upstream(tasks, "train")

    last = {"erase", "prune", "outcome"}
    assert before == set(tasks) - {"train", "publish"} - last
    assert "dbt.dbt_producer_watcher" in before
    assert upstream(tasks, "publish") == before | {"train"}
    gates = {name: task["trigger_rule"] for name, task in tasks.items() if name not in last}
    # The exception still stops at a failed build; it only ignores skipped tasks.
    assert gates.pop("dbt.dbt_producer_watcher_done") == "none_failed"
    assert set(gates.values()) == {"all_success"}


def test_erase_and_prune_run_after_failures_once_no_other_step_is_running(tasks: dict[str, Any]) -> None:
    assert tasks["erase"]["trigger_rule"] == tasks["prune"]["trigger_rule"] == "all_done"
    # All steps that write to the warehouse: a publication that will not run counts as done while loads go on.
    waited_for = {name for name, task in tasks.items() if "erase" in task["downstream"]}
    assert waited_for == {"extract_load", "dbt.dbt_producer_watcher", "publish"}


def test_a_run_with_a_failed_step_fails(tasks: dict[str, Any]) -> None:
    """The last tasks decide: there is one, and it runs only after every other task has succeeded."""
    assert [name for name, task in tasks.items() if not task["downstream"]] == ["outcome"]
    assert upstream(tasks, "outcome") == set(tasks) - {"outcome"}
    assert tasks["outcome"]["trigger_rule"] == "all_success"
    assert upstream(tasks, "publish") == set(tasks) - {"publish", "erase", "prune", "outcome"}
    direct = {name for name, task in tasks.items() if "outcome" in task["downstream"]}
    assert direct == {"publish", "erase", "prune"}


def test_only_steps_that_wait_for_services_are_retried(tasks: dict[str, Any]) -> None:
    retried = {name for name, task in tasks.items() if task["retries"]}

    assert retried == {"extract_load", "train", "publish", "erase", "prune"}
    for name in retried:
        assert tasks[name]["exponential"]
        (rule,) = tasks[name]["retry_policy"]["rules"]
        assert (rule["exception"], rule["action"]) == ("dataflix_elt.errors.PermanentError", "fail")


def test_assets_name_what_the_steps_write(tasks: dict[str, Any]) -> None:
    made = {name: task["outlets"] for name, task in tasks.items() if task["outlets"]}

    assert made == {
        "extract_load": ["raw tables"],
        "dbt.user_item_matrix": ["analytics.user_item_matrix"],
        "train": ["registered model"],
        "publish": ["analytics.recommendations"],
    }
    assert tasks["extract_load"]["mapped"]


def test_every_task_of_ours_is_documented(tasks: dict[str, Any]) -> None:
    assert [name for name, task in tasks.items() if not task["documented"] and "producer" not in name] == []
