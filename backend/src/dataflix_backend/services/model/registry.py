"""The model registry, through MLflow's own client."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from requests import RequestException

from dataflix_backend.services.model.files import Hold
from dataflix_backend.services.model.synchroniser import Champion, RegistryUnavailableError
from dataflix_backend.settings import SyncSettings
from dataflix_common.model_registry import (
    ARTIFACT_SHA256,
    CHAMPION_ALIAS,
    HELD_AT,
    HELD_REASON,
    MAX_HELD_REASON,
    may_serve,
)

# Where the trainer puts our artifact inside a logged model.
ARTIFACT_PATH = "artifacts/dataflix-model"

# MLflow reads these when it is imported. We poll, so long retries of the client would only hide an outage.
_CLIENT_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}


class MlflowRegistry:
    """The versions of one registered model; implements ``synchroniser.Registry``."""

    def __init__(self, settings: SyncSettings) -> None:
        os.environ.update(_CLIENT_ENVIRONMENT)
        # Imported here: it takes seconds, and it reads the environment above.
        import mlflow  # noqa: PLC0415

        mlflow.set_tracking_uri(settings.tracking_uri)
        self._mlflow: Any = mlflow
        self._client = mlflow.MlflowClient(settings.tracking_uri)
        self._model_name = settings.model_name
        self._promotion_key = settings.promotion_key

    def champion(self) -> Champion | None:
        """Return the version with the champion alias, None without model or alias."""
        try:
            found = self._client.get_model_version_by_alias(self._model_name, CHAMPION_ALIAS)
        except self._mlflow.exceptions.MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise RegistryUnavailableError(str(error)) from error
        except RequestException as error:
            raise RegistryUnavailableError(str(error)) from error
        version, tags = str(found.version), dict(found.tags)
        signed = may_serve(self._promotion_key, self._model_name, version, str(found.run_id), tags)
        sha256 = tags.get(ARTIFACT_SHA256) if signed else None
        return Champion(version, str(found.source), sha256, _hold(tags))

    def download(self, champion: Champion, target: Path) -> Path:
        """Download the version's artifact into ``target``."""
        uri = f"models:/{self._model_name}/{champion.version}/{ARTIFACT_PATH}"
        try:
            return Path(self._mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(target)))
        except (self._mlflow.exceptions.MlflowException, RequestException) as error:
            raise RegistryUnavailableError(f"version {champion.version}: {error}") from error


def _hold(tags: Mapping[str, str]) -> Hold | None:
    """Return what the tags say of a hold. Everybody who reaches MLflow can write them."""
    if HELD_AT not in tags:
        return None
    try:
        since = datetime.fromisoformat(tags[HELD_AT]).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        since = None
    return Hold(since, tags.get(HELD_REASON, "")[:MAX_HELD_REASON] or None)
