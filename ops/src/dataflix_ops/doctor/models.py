"""Checks of S3 and MLflow: objects are stored and deleted, and the champion downloads and loads."""

import os
import tempfile
import uuid
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from dataflix_ops.doctor.check import Check, CheckError
from dataflix_ops.doctor.http import new_session, request_ok
from dataflix_recommender import History, Model
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
    return f"{version['name']} version {version['version']} is {_CHAMPION}"


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
        model = Model.load(Path(path))
        recommended = model.recommend(History.from_events([], model.weights), 1)
        if not recommended:
            raise CheckError(f"version {number} recommends nothing")
        return (
            f"version {number}: {model.info.n_items} movies, trained {model.info.trained_at:%Y-%m-%d %H:%M}"
        )


def _champion_version(settings: Settings) -> dict[str, Any]:
    url = settings.url("MLFLOW") + "/api/2.0/mlflow/registered-models/alias"
    wanted = {"name": settings["MODEL_NAME"], "alias": _CHAMPION}
    found: dict[str, Any] = request_ok(new_session(), "GET", url, params=wanted).json()["model_version"]
    return found
