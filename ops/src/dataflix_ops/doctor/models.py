"""Checks of S3 and MLflow: objects are stored and deleted, and the champion downloads and loads."""

import json
import os
import tempfile
import uuid
from pathlib import Path
from typing import Any

import boto3
import requests
from botocore.config import Config

from dataflix_ops.doctor.api import served_meta
from dataflix_ops.doctor.check import Check, CheckError
from dataflix_ops.doctor.http import new_session, request
from dataflix_recommender import ArtifactError, History, Model
from dataflix_recommender.data.artifact import FORMAT_VERSION, MANIFEST
from dataflix_stack.config.settings import Settings

# The stack itself has no objects below this key.
_SCRATCH = "check-all-works/"

_CHAMPION = "champion"
_MODEL_ARTIFACT = "artifacts/dataflix-model"

# Retries for minutes would only hide that the service is down.
_CLIENT_LIMITS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "DO_NOT_TRACK": "1",
}


def checks() -> list[Check]:
    """Return the checks; MLflow's client alone takes seconds to load."""
    return [
        Check("s3", "an object is put, read and deleted", _put_get_delete),
        Check("mlflow", "the registry knows the model and its champion", _registry),
        Check("mlflow", "the champion downloads, loads and recommends", _champion, timeout_s=180),
        Check("model-sync", "the API serves the champion", _serves_champion),
    ]


def _put_get_delete(settings: Settings) -> str:
    client = boto3.client(
        "s3",
        endpoint_url=settings.url("S3"),
        aws_access_key_id=settings["S3_ACCESS_KEY"],
        aws_secret_access_key=settings["S3_SECRET_KEY"],
        region_name="us-east-1",
        config=Config(
            connect_timeout=5,
            read_timeout=20,
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
            proxies={},
        ),
    )
    place = {"Bucket": settings["S3_BUCKET"], "Key": _SCRATCH + uuid.uuid4().hex}
    body = place["Key"].encode()
    client.put_object(**place, Body=body)
    try:
        if client.get_object(**place)["Body"].read() != body:
            raise CheckError(f"{place['Key']} was returned with other bytes")
    finally:
        client.delete_object(**place)
    left = client.list_objects_v2(Bucket=place["Bucket"], Prefix=place["Key"]).get("KeyCount", 0)
    if left:
        raise CheckError(f"{place['Key']} is still there after its deletion")
    return f"bucket {place['Bucket']}"


def _registry(settings: Settings) -> str:
    version = _champion_version(settings)
    # The trainer's name of the tag.
    held = any(tag.get("key") == "held_at" for tag in version.get("tags", []))
    return (
        f"{version['name']} version {version['version']} is {_CHAMPION}"
        f"{', and held until .venv/bin/trainer release' if held else ''}"
    )


def _champion(settings: Settings) -> str:
    # Checked without MLflow's client first, which loads slowly and gives up late.
    number = _champion_version(settings)["version"]
    for name, value in _CLIENT_LIMITS.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: PLC0415  takes seconds, and only this check needs it

    mlflow.set_tracking_uri(settings.url("MLFLOW"))
    uri = f"models:/{settings['MODEL_NAME']}/{number}/{_MODEL_ARTIFACT}"
    with tempfile.TemporaryDirectory(prefix="dataflix-check-") as folder:
        path = mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder)
        model = load_champion(Path(path), number)
        recommended = model.recommend(History.from_events([], model.weights), 1)
        if not recommended:
            raise CheckError(f"version {number} recommends nothing")
        return (
            f"version {number}: {model.info.n_items} movies, trained {model.info.trained_at:%Y-%m-%d %H:%M}"
        )


def load_champion(path: Path, number: str) -> Model:
    """Load the artifact of the champion.

    Raises:
        CheckError: it is damaged, or an artifact of another format, which counts as none.
    """
    try:
        return Model.load(path)
    except ArtifactError as error:
        if (written := _format_version(path)) not in (None, FORMAT_VERSION):
            raise CheckError(
                f"champion version {number} is an artifact of format {written}, and this code reads "
                f"{FORMAT_VERSION}: it counts as none. The next pipeline run trains and promotes another: "
                "./run.sh pipeline"
            ) from error
        raise CheckError(
            f"champion version {number} is damaged: {error}. Promote another (.venv/bin/trainer rollback) "
            "or train again (./run.sh pipeline)"
        ) from error


def _format_version(path: Path) -> object:
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest.get("format_version") if isinstance(manifest, dict) else None


def _serves_champion(settings: Settings) -> str:
    champion = str(_champion_version(settings)["version"])
    http = new_session({"X-API-Key": settings["API_KEY"]})
    return compare_versions(champion, served_meta(http, settings.url("BACKEND")))


def compare_versions(champion: str, meta: dict[str, Any]) -> str:
    """Return what is served, in words.

    Args:
        champion: the registry's version.
        meta: what the API says about a list.

    Raises:
        CheckError: the API serves another version, or no model.
    """
    if meta["source"] != "model":
        raise CheckError(
            f"the champion is version {champion}, and the API serves {meta['source']} instead of a model; "
            "its log and that of model-sync say why"
        )
    if str(meta["model_version"]) != champion:
        raise CheckError(
            f"the champion is version {champion}, and the API serves version {meta['model_version']}; right "
            "after a promotion this lasts up to a minute, else the log of model-sync says why"
        )
    return f"version {champion}"


def _champion_version(settings: Settings) -> dict[str, Any]:
    url = settings.url("MLFLOW") + "/api/2.0/mlflow/registered-models/alias"
    wanted = {"name": settings["MODEL_NAME"], "alias": _CHAMPION}
    # MLflow answers 404 without the model, and 400 without the alias.
    answer = request(new_session(), "GET", url, params=wanted)
    if answer.status_code in (requests.codes.bad_request, requests.codes.not_found):
        raise CheckError(
            "there is no champion: the promotion rule has accepted no version yet. .venv/bin/trainer models "
            "says why; with more data, ./run.sh pipeline trains and tries again"
        )
    if not answer.ok:
        raise CheckError(f"{url} answers {answer.status_code}")
    found: dict[str, Any] = answer.json()["model_version"]
    return found
