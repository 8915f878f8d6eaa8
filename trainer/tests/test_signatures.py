"""What serves is what a promotion signed, even if somebody moves the alias or writes tags in MLflow."""

import json
from collections.abc import Callable
from typing import Any

import mlflow
from click.testing import Result

from dataflix_trainer.registry.registry import Registry
from dataflix_trainer.settings import MlflowSettings

Trainer = Callable[..., Result]
NAME = "signed-model"
SMALL = ("--factors=8", "--iterations=8")
# A ridge a thousand times too strong: the rule refuses it.
WORSE = ("--regularization=100000", "--link-weight=0")


def test_nothing_serves_that_no_promotion_signed(trainer: Trainer, services: Any) -> None:
    environ = services.environ | {"DATAFLIX_MODEL_NAME": NAME}

    def run(*words: str, **settings: str) -> Result:
        return trainer(*words, "--json", DATAFLIX_MODEL_NAME=NAME, **settings)

    def done(*words: str) -> Any:
        result = run(*words)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def serving() -> str | None:
        version = Registry(MlflowSettings.from_environ(environ)).serving_champion()
        return None if version is None else version.number

    client = mlflow.MlflowClient(services.mlflow.tracking_uri)

    def move_alias(version: str) -> None:
        client.set_registered_model_alias(NAME, "champion", version)

    def alias() -> str:
        return str(client.get_model_version_by_alias(NAME, "champion").version)

    done("train", *SMALL)
    missing = run("publish", DATAFLIX_MODEL_PROMOTION_KEY="")
    assert missing.exit_code == 2
    assert "DATAFLIX_MODEL_PROMOTION_KEY is not set" in missing.stderr
    assert run("models", DATAFLIX_MODEL_PROMOTION_KEY="").exit_code == 0
    assert serving() is None
    assert done("publish")["champion"] == "1"
    assert serving() == "1"

    # The alias on a version that the rule never saw, with all tags of the one that serves.
    done("train", *SMALL, *WORSE)
    for tag, value in client.get_model_version(NAME, "1").tags.items():
        client.set_model_version_tag(NAME, "2", tag, value)
    client.set_model_version_tag(NAME, "2", "promotion_number", "x" * 30)
    client.set_model_version_tag(NAME, "2", "promoted_at", "yesterday")
    move_alias("2")
    assert serving() == "1"
    assert "1" not in done("prune", "--older-than=0", "--dry-run")["versions"]
    published = done("publish")
    assert (published["promoted"], published["champion"]) == (False, "1")
    assert published["recommendation_rows"] > 0
    assert alias() == "1"

    # A rollback signs nothing that the rule has not accepted, whatever its tags say.
    client.set_model_version_tag(NAME, "2", "promoted_at", "2020-01-01T00:00:00+00:00")
    client.set_model_version_tag(NAME, "2", "promotion_number", "0")
    client.delete_model_version_tag(NAME, "2", "promoted_artifact_sha256")
    refused = run("rollback")
    assert refused.exit_code == 5
    assert "version 2 did, but its promotion is not signed" in json.loads(refused.stdout)["error"]
    assert (alias(), serving()) == ("1", "1")

    # An earlier champion was signed once, but does not serve any more.
    done("train", *SMALL, "--seed=7")
    assert done("publish")["champion"] == "3"
    move_alias("1")
    assert serving() == "3"
    assert done("publish", "3")["champion"] == "3"
    assert alias() == "3"
    assert done("rollback") == {"champion": "1", "rolled_back": "3"}
    assert (alias(), serving()) == ("1", "1")


def test_a_champion_of_before_signatures_is_judged_and_signed(trainer: Trainer, services: Any) -> None:
    name = "unsigned-model"

    def done(*words: str) -> Any:
        result = trainer(*words, "--json", DATAFLIX_MODEL_NAME=name)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def strip(version: str) -> None:
        for tag in ("promotion_signature", "serving_signature", "promoted_artifact_sha256"):
            if tag in client.get_model_version(name, version).tags:
                client.delete_model_version_tag(name, version, tag)

    client = mlflow.MlflowClient(services.mlflow.tracking_uri)
    done("train", *SMALL)
    done("publish")
    strip("1")
    done("train", *SMALL, *WORSE)
    published = done("publish")
    assert (published["promoted"], published["champion"], published["champion_problem"]) == (False, "1", None)
    assert published["recommendation_rows"] > 0
    assert "promotion_signature" in client.get_model_version(name, "1").tags

    # One that the rule refuses is not signed, and no lists are made of it.
    strip("1")
    client.set_registered_model_alias(name, "champion", "2")
    published = done("publish")
    assert (published["promoted"], published["champion"], published["recommendation_rows"]) == (False, "2", 0)
    assert "not signed" in published["champion_problem"]
    assert "serving_signature" not in client.get_model_version(name, "2").tags
