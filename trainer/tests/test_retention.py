"""Models and exports go by age, with their files; what serves and what a rollback needs stays."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import mlflow
import pytest
from click.testing import Result

from dataflix_trainer.data.object_store import Exports, connect
from dataflix_trainer.jobs.job import Job, now
from dataflix_trainer.jobs.requests import parse_job
from dataflix_trainer.registry import retention
from dataflix_trainer.registry.registry import Registry
from dataflix_trainer.registry.retention import ExpiredArtifacts, find_expired
from dataflix_trainer.settings import MlflowSettings, S3Settings

Trainer = Callable[..., Result]
# A model of its own: no other test's versions are touched.
NAME = {"DATAFLIX_MODEL_NAME": "pruned-als"}


def answer(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def registry(services: Any) -> Registry:
    return Registry(MlflowSettings.from_environ(services.environ | NAME))


@pytest.fixture(scope="module")
def objects(services: Any) -> Callable[[], dict[str, int]]:
    """Lists the bucket: sizes by key."""
    client = connect(S3Settings.from_environ(services.environ))

    def listed() -> dict[str, int]:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket="dataflix")
        return {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", [])}

    return listed


@pytest.fixture(scope="module")
def exported(services: Any) -> Iterator[None]:
    client = connect(S3Settings.from_environ(services.environ))
    for key in ("exports/lists.csv", "elsewhere/lists.csv"):
        client.put_object(Bucket="dataflix", Key=key, Body=b"user_id\n1\n")
    yield
    client.delete_object(Bucket="dataflix", Key="elsewhere/lists.csv")


@pytest.fixture(scope="module")
def made(trainer: Trainer, registry: Registry, exported: None) -> list[dict[str, Any]]:
    """Versions 1 and 2 have served and serve, 3 never did; a fourth training failed after its first file."""
    small = ("--factors=4", "--iterations=2", "--link-weight=0", "--json")
    versions = [answer(trainer("train", *small, f"--seed={seed}", **NAME)) for seed in (1, 2, 3)]
    for version in ("1", "2"):
        answer(trainer("promote", version, "--force", "--json", **NAME))
    experiment = mlflow.MlflowClient().get_experiment_by_name(NAME["DATAFLIX_MODEL_NAME"])
    assert experiment is not None
    with mlflow.start_run(experiment_id=experiment.experiment_id) as run:
        mlflow.log_text("factors", "evaluated-model/items.npy")
    return [*versions, {"mlflow_run_id": run.info.run_id}]


def keys_of(objects: dict[str, int], *marks: str) -> list[str]:
    return [key for key in objects if any(mark in key for mark in marks)]


def test_older_models_and_exports_are_gone_with_their_bytes(
    trainer: Trainer,
    registry: Registry,
    made: list[dict[str, Any]],
    objects: Callable[[], dict[str, int]],
) -> None:
    first, second, third, failed = (version["mlflow_run_id"] for version in made)
    before = objects()
    client = mlflow.MlflowClient()
    experiment = client.get_run(third).info.experiment_id
    of_third = client.search_logged_models([experiment], filter_string=f"source_run_id = '{third}'")
    gone = (third, failed, *(model.model_id for model in of_third), "exports/")
    assert len(of_third) == 1
    assert len(keys_of(before, *gone)) > 5

    young = answer(trainer("prune", "--json", **NAME, DATAFLIX_RETENTION_DAYS="1"))
    assert (young["older_than_days"], young["versions"], young["runs"], young["exports"]) == (1, [], [], [])
    foretold = answer(trainer("prune", "--older-than=0", "--dry-run", "--json", **NAME))
    assert objects() == before
    done = answer(trainer("prune", "--older-than=0", "--json", **NAME))

    assert done == foretold | {"dry_run": False}
    assert (done["versions"], sorted(done["runs"])) == (["3"], sorted([third, failed]))
    # Other tests export, too.
    assert sorted(done["exports"]) == keys_of(before, "exports/")
    assert "exports/lists.csv" in done["exports"]
    assert objects() == {key: size for key, size in before.items() if key not in keys_of(before, *gone)}
    assert "elsewhere/lists.csv" in objects()
    assert [version.number for version in registry.versions()] == ["2", "1"]
    stages = [client.get_run(run).info.lifecycle_stage for run in (first, second, third, failed)]
    assert stages == ["active", "active", "deleted", "deleted"]
    # The one before is whole: a rollback still goes to it, and then the other one stays.
    assert answer(trainer("rollback", "--json", **NAME))["champion"] == "1"
    assert answer(trainer("evaluate", "1", "--json", **NAME))["version"] == "1"


def test_what_was_interrupted_is_found_again(
    trainer: Trainer,
    made: list[dict[str, Any]],
    objects: Callable[[], dict[str, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_id = answer(trainer("train", "--factors=4", "--iterations=2", "--link-weight=0", "--json", **NAME))[
        "mlflow_run_id"
    ]

    def killed(_: str) -> None:
        raise KeyboardInterrupt

    # After the version, before any of its files.
    monkeypatch.setattr(retention, "_remove_files", killed)
    assert trainer("prune", "--older-than=0", **NAME).exit_code != 0
    monkeypatch.undo()
    assert keys_of(objects(), run_id)

    done = answer(trainer("prune", "--older-than=0", "--json", **NAME))
    assert run_id in done["runs"]
    assert keys_of(objects(), run_id) == []


def test_nothing_younger_than_the_limit_is_found(
    registry: Registry, services: Any, made: list[dict[str, Any]]
) -> None:
    exports = Exports(S3Settings.from_environ(services.environ))
    oldest = min(version.created_at for version in registry.versions())

    assert oldest < datetime.now(UTC)
    assert find_expired(registry, exports, datetime(2020, 1, 1, tzinfo=UTC)) == ExpiredArtifacts([], [], [])


def test_the_pipeline_asks_for_it_as_a_job() -> None:
    kind, key, params = parse_job({"kind": "prune", "key": "run:prune", "params": {}})

    assert Job("1", kind, key, params, "queued", created_at=now()).command_line() == ["prune", "--json"]
