"""Services that are away, refuse us or hold nothing: the error says which, where, and what to check."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import Result

from dataflix_testkit import ClickHouseServer, clickhouse, free_port

Trainer = Callable[..., Result]


def refused(result: Result, code: int, *words: str) -> None:
    assert result.exit_code == code, result.output
    assert len(result.stderr.strip().splitlines()) >= 1
    for word in words:
        assert word in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", ["train", "publish", "evaluate", "promote"])
def test_clickhouse_away(trainer: Trainer, command: str) -> None:
    port = str(free_port())
    result = trainer(command, "--json", DATAFLIX_CLICKHOUSE_PORT=port)
    if command == "train":
        refused(result, 3, "ClickHouse", f"127.0.0.1:{port}", "DATAFLIX_CLICKHOUSE_PORT"[:-5])
        assert f"127.0.0.1:{port}" in json.loads(result.stdout)["error"]
    else:
        refused(result, 3, f"127.0.0.1:{port}")


def test_clickhouse_refuses_the_password(trainer: Trainer) -> None:
    result = trainer("train", DATAFLIX_CLICKHOUSE_TRAINER_PASSWORD="wrong")
    refused(result, 3, "refused the user trainer", "DATAFLIX_CLICKHOUSE_TRAINER_PASSWORD")
    assert "wrong" not in result.stderr


@pytest.mark.parametrize("words", [("train",), ("models",), ("rollback",), ("promote", "1", "--force")])
def test_mlflow_away(trainer: Trainer, words: tuple[str, ...]) -> None:
    port = str(free_port())
    refused(
        trainer(*words, DATAFLIX_MLFLOW_PORT=port), 3, "MLflow", f"127.0.0.1:{port}", "DATAFLIX_MLFLOW_HOST"
    )


def test_something_else_listens_on_mlflows_port(trainer: Trainer, services: Any) -> None:
    result = trainer("models", DATAFLIX_MLFLOW_PORT=str(services.clickhouse.port))
    refused(result, 3, "MLflow", str(services.clickhouse.port))


def test_s3_away_behind_mlflow(trainer: Trainer, services: Any) -> None:
    with services.s3_relay.cut():
        before = trainer("models", "--json").stdout
        result = trainer("train", "--factors=4")
        refused(result, 3, "MLflow", "cannot reach its artifact store", "DATAFLIX_S3_HOST")
        assert trainer("models", "--json").stdout == before


def test_s3_away_for_an_export(trainer: Trainer, services: Any) -> None:
    services.sql(
        "INSERT INTO analytics.recommendations SELECT 1, 1, 1, 1, 'test', now64(6) "
        "WHERE (SELECT count() FROM analytics.recommendations) = 0"
    )
    port = str(free_port())
    result = trainer("export", "--format=csv", "--out=s3://dataflix/lists.csv", DATAFLIX_S3_PORT=port)
    refused(result, 3, "S3", f"127.0.0.1:{port}", "DATAFLIX_S3_HOST")


@pytest.fixture(scope="module")
def empty() -> Iterator[ClickHouseServer]:
    """A warehouse in which the pipeline has not run."""
    with clickhouse() as server:
        yield server


def test_a_warehouse_without_tables(trainer: Trainer, empty: ClickHouseServer) -> None:
    refused(trainer("train", **empty.environ), 4, "run the pipeline")


def test_a_warehouse_without_rows(
    trainer: Trainer, empty: ClickHouseServer, tables: Callable[..., None]
) -> None:
    tables(empty)
    client = empty.client("dataflix_admin")
    client.command("INSERT INTO analytics.data_source VALUES ('dataflix', '', 0)")
    refused(trainer("train", **empty.environ), 4, "analytics.dim_movies", "is empty", "run the pipeline")
    client.command("INSERT INTO analytics.dim_movies VALUES (1, 'Alien', ['Horror'], 1979, 117, NULL, '{}')")
    client.command("INSERT INTO analytics.confidence_weights VALUES (5, 'unknown', '', 3)")
    refused(
        trainer("train", **empty.environ), 4, "analytics.user_item_matrix", "is empty", "./run.sh pipeline"
    )
    refused(
        trainer("export", "--format=csv", "--out=/tmp/x.csv", **empty.environ), 4, "no lists were published"
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATAFLIX_CLICKHOUSE_PORT", "no"),
        ("DATAFLIX_CLICKHOUSE_TRAINER_PASSWORD", ""),
        ("DATAFLIX_MLFLOW_PORT", "70000"),
        ("DATAFLIX_TRAINER_THREADS", "0"),
    ],
)
def test_wrong_settings_are_named(trainer: Trainer, variable: str, value: str) -> None:
    refused(trainer("train", **{variable: value}), 2, variable)
