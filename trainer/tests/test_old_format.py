"""What a champion that this code cannot read does to promotion, publication and rollback."""

import json
import zlib
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from click.testing import Result

from dataflix_trainer.registry.registry import Registry
from dataflix_trainer.settings import MlflowSettings

Trainer = Callable[..., Result]
SMALL = ("--factors=8", "--iterations=8")


@pytest.fixture
def run(trainer: Trainer, request: pytest.FixtureRequest) -> Callable[..., Result]:
    """Run ``trainer ... --json`` on a registered model of this test's own."""
    name = f"old-{zlib.crc32(request.node.name.encode())}"

    def answer(*words: str) -> Result:
        return trainer(*words, "--json", DATAFLIX_MODEL_NAME=name)

    answer.name = name  # type: ignore[attr-defined]
    return answer


def change_objects(services: Any, run: Any, version: str, folder: str, *, remove: bool) -> None:
    """Give an artifact of a version an older format, or remove it, in the object store."""
    environ = services.environ | {"DATAFLIX_MODEL_NAME": run.name}
    registry = Registry(MlflowSettings.from_environ(environ))
    run_id = registry.version(version).run_id
    client = boto3.client(
        "s3",
        endpoint_url=services.s3.endpoint_url,
        aws_access_key_id=services.environ["DATAFLIX_S3_ACCESS_KEY"],
        aws_secret_access_key=services.environ["DATAFLIX_S3_SECRET_KEY"],
        region_name="us-east-1",
    )
    bucket = services.environ["DATAFLIX_S3_BUCKET"]
    model = registry._client.get_model_version(environ["DATAFLIX_MODEL_NAME"], version)
    # Its source is models:/m-..., the logged model.
    owner = {"evaluated-model": run_id, "dataflix-model": str(model.source).rpartition("/")[2]}[folder]
    keys = [
        item["Key"]
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        for item in page.get("Contents", [])
        if f"/{owner}/" in item["Key"] and f"/{folder}/" in item["Key"]
    ]
    assert keys
    for key in keys:
        if remove:
            client.delete_object(Bucket=bucket, Key=key)
        elif key.endswith("manifest.json"):
            manifest = json.loads(client.get_object(Bucket=bucket, Key=key)["Body"].read())
            content = json.dumps(manifest | {"format_version": 2}).encode()
            client.put_object(Bucket=bucket, Key=key, Body=content)


def done(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_an_unreadable_champion_counts_as_none(run: Callable[..., Result], services: Any) -> None:
    done(run("train", *SMALL))
    assert done(run("publish"))["champion_problem"] is None
    for folder in ("dataflix-model", "evaluated-model"):
        change_objects(services, run, "1", folder, remove=False)
    # Nothing better to serve: publish says why, and ends well.
    done(run("train", *SMALL, "--regularization=100000", "--link-weight=0"))
    refused = done(run("publish"))
    assert (refused["promoted"], refused["champion"], refused["recommendation_rows"]) == (False, "1", 0)
    assert "format version 2; this code reads" in refused["champion_problem"]
    again = done(run("publish", "1"))
    assert not again["promoted"]
    assert "format version 2" in again["reason"]
    done(run("train", *SMALL, "--seed=7"))
    accepted = done(run("publish"))
    assert (accepted["promoted"], accepted["champion"], accepted["champion_problem"]) == (True, "3", None)
    assert "the champion, version 1, counts as none" in accepted["reason"]
    assert accepted["recommendation_rows"] > 0
    # And no way leads back to it.
    rollback = run("rollback")
    assert rollback.exit_code == 5
    assert "version 1 did, but its artifact cannot be used" in json.loads(rollback.stdout)["error"]
    forced = run("promote", "1", "--force")
    assert forced.exit_code == 5
    assert "version 1 cannot serve" in json.loads(forced.stdout)["error"]
    assert [row["version"] for row in done(run("models")) if row["champion"]] == ["3"]


@pytest.mark.parametrize("folder", ["evaluated-model", "dataflix-model"])
def test_a_champion_whose_files_are_gone_is_no_service_that_fails(
    run: Callable[..., Result], services: Any, folder: str
) -> None:
    done(run("train", *SMALL))
    done(run("publish"))
    change_objects(services, run, "1", folder, remove=True)
    done(run("train", *SMALL, "--seed=7"))
    accepted = done(run("publish"))
    assert (accepted["promoted"], accepted["champion"]) == (True, "2")
    assert ("counts as none" in accepted["reason"]) == (folder == "evaluated-model")
