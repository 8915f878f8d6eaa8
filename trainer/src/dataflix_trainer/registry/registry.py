"""The model registry (MLflow): versions, their tags, and the alias that says which one serves."""

import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any

import mlflow
import requests
from mlflow.exceptions import MlflowException, RestException

from dataflix_trainer.errors import RegistryError, ServiceUnavailableError
from dataflix_trainer.settings import MlflowSettings

CHAMPION = "champion"
MODEL_ARTIFACT = "dataflix-model"  # name of the artifact directory inside the logged model
EVALUATED_ARTIFACT = "evaluated-model"  # the same, fitted without the held-out events; of the run

# Tags of a version.
PROMOTION = "promotion"
PROMOTION_REASON = "promotion_reason"
PROMOTED_AT = "promoted_at"
PROMOTION_NUMBER = "promotion_number"  # counts promotions: a clock may be set back between two of them
ROLLED_BACK_AT = "rolled_back_at"
ACCEPTED = "accepted"
REFUSED = "refused"

STORAGE_CHECK = "its log, and that the S3 store behind it (DATAFLIX_S3_HOST and _PORT) answers and has room"
HEALTH_TIMEOUT_S = 5
# Storage that is away makes MLflow try again for up to 15 s; waiting longer teaches nothing.
STORAGE_TIMEOUT_S = 16


def metric_key(name: str) -> str:
    """Return the name under which MLflow keeps a metric: it allows no ``@``."""
    return name.replace("@", "_at_")


def metric_name(key: str) -> str:
    """Return the metric that MLflow keeps under ``key``."""
    return key.replace("_at_", "@")


@dataclass(frozen=True, slots=True)
class Version:
    """One registered model version."""

    number: str
    run_id: str
    created_at: datetime
    tags: Mapping[str, str]
    is_champion: bool

    @property
    def served_from(self) -> str | None:
        """When it became champion, ISO 8601; None when it never was or was rolled back since."""
        return None if ROLLED_BACK_AT in self.tags else self.tags.get(PROMOTED_AT)

    @property
    def place(self) -> tuple[int, str]:
        """Its place in the order in which versions became champion; those without a number came before."""
        return int(self.tags.get(PROMOTION_NUMBER, 0)), self.served_from or ""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, without metrics: they cost a request for each version."""
        return {
            "version": self.number,
            "champion": self.is_champion,
            "created_at": self.created_at.isoformat(),
            "promotion": self.tags.get(PROMOTION),
            "promotion_reason": self.tags.get(PROMOTION_REASON),
            "promoted_at": self.tags.get(PROMOTED_AT),
            "rolled_back_at": self.tags.get(ROLLED_BACK_AT),
            "mlflow_run_id": self.run_id,
        }


class Registry:
    """Our one registered model."""

    def __init__(self, settings: MlflowSettings) -> None:
        """Open it; raises ServiceUnavailableError within seconds when MLflow is away."""
        self.settings = settings
        self._ask(
            "/health", HEALTH_TIMEOUT_S, "does not answer", "that it runs, and DATAFLIX_MLFLOW_HOST and _PORT"
        )
        mlflow.set_tracking_uri(f"http://{settings.address}")
        self._client = mlflow.MlflowClient()

    def check_storage(self) -> None:
        """Raise ServiceUnavailableError unless MLflow reaches its artifact store; ask before long work."""
        self._ask(
            "/api/2.0/mlflow-artifacts/artifacts",
            STORAGE_TIMEOUT_S,
            "cannot reach its artifact store",
            STORAGE_CHECK,
        )

    def versions(self, limit: int | None = None) -> list[Version]:
        """Return all versions, the newest first, or the ``limit`` newest."""
        with self.explained():
            found = self._client.search_model_versions(f"name = '{self.settings.model_name}'")
            champion = self._champion_number()
            newest_first = sorted(found, key=lambda version: -int(version.version))[:limit]
            return [self._version(version, champion) for version in newest_first]

    def version(self, number: str) -> Version:
        """Return one version; raises RegistryError when there is none of that number."""
        if not (number.isascii() and number.isdecimal()):
            raise RegistryError(f"a model version is a whole number, not {number!r}; see: trainer models")
        with self.explained():
            try:
                found = self._client.get_model_version(self.settings.model_name, number)
            except RestException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                name = self.settings.model_name
                raise RegistryError(f"{name} has no version {number}; see: trainer models") from error
            return self._version(found, self._champion_number())

    def metrics(self, version: Version) -> dict[str, float]:
        """Return what was measured when a version was trained."""
        with self.explained():
            logged = self._client.get_run(version.run_id).data.metrics
        return {metric_name(key): value for key, value in logged.items()}

    def champion(self) -> Version | None:
        """Return the version that serves, None when none does yet."""
        with self.explained():
            number = self._champion_number()
        return None if number is None else self.version(number)

    def record_verdict(self, number: str, *, accepted: bool, reason: str) -> None:
        """Write the rule's decision on a version."""
        self._tag(number, {PROMOTION: ACCEPTED if accepted else REFUSED, PROMOTION_REASON: reason})

    def make_champion(self, number: str) -> None:
        """Let a version serve from now on."""
        count = max((version.place[0] for version in self.versions()), default=0) + 1
        self._tag(number, {PROMOTED_AT: datetime.now(UTC).isoformat(), PROMOTION_NUMBER: str(count)})
        name = self.settings.model_name
        with self.explained():
            if ROLLED_BACK_AT in self._client.get_model_version(name, number).tags:
                self._client.delete_model_version_tag(name, number, ROLLED_BACK_AT)
            self._client.set_registered_model_alias(name, CHAMPION, number)

    def roll_back(self) -> tuple[Version, Version]:
        """Give the alias back to the version that served before; return (the one before, the present one).

        Raises RegistryError when nothing serves or nothing served before.
        """
        present = self.champion()
        if present is None:
            raise RegistryError(
                "no version serves yet, so there is nothing to roll back; see: trainer models"
            )
        before = self.before(present, self.versions())
        if before is None:
            raise RegistryError(f"no version served before {present.number}; see: trainer models")
        with self.explained():
            self._client.set_registered_model_alias(self.settings.model_name, CHAMPION, before.number)
        self._tag(present.number, {ROLLED_BACK_AT: datetime.now(UTC).isoformat()})
        return before, present

    def before(self, present: Version, versions: Sequence[Version]) -> Version | None:
        """Return which of ``versions`` served before the present champion; None when none did."""
        # The present one may have been set by hand in MLflow, without our tags: then every other counts.
        by_hand = present.served_from is None
        earlier = [
            version
            for version in versions
            if version.number != present.number
            and version.served_from is not None
            and (by_hand or version.place < present.place)
        ]
        return max(earlier, key=lambda version: version.place, default=None)

    def download_model(self, version: Version, folder: Path) -> Path:
        """Download the artifact that serves into ``folder`` and return its directory."""
        uri = f"models:/{self.settings.model_name}/{version.number}/artifacts/{MODEL_ARTIFACT}"
        return self._download(uri, folder)

    def download_evaluated(self, version: Version, folder: Path) -> Path:
        """Download the artifact that was fitted without the held-out events and return its directory."""
        return self._download(f"runs:/{version.run_id}/{EVALUATED_ARTIFACT}", folder)

    def _download(self, uri: str, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        with self.explained():
            return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder)))

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn MLflow's errors into ours, with the way out."""
        try:
            yield
        except (MlflowException, requests.RequestException) as error:
            raise ServiceUnavailableError(
                "MLflow",
                self.settings.address,
                f"could not do its part: {error}",
                check=STORAGE_CHECK,
            ) from error

    def _ask(self, path: str, timeout: float, reason: str, check: str) -> None:
        """Ask MLflow once, without its client's patience."""
        try:
            with urllib.request.urlopen(f"http://{self.settings.address}{path}", timeout=timeout):
                return
        except (OSError, HTTPException, ValueError) as error:
            raise ServiceUnavailableError(
                "MLflow", self.settings.address, f"{reason} ({error})", check=check
            ) from error

    def _champion_number(self) -> str | None:
        try:
            model = self._client.get_registered_model(self.settings.model_name)
        except RestException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        number = model.aliases.get(CHAMPION)
        return None if number is None else str(number)

    def _version(self, found: Any, champion: str | None) -> Version:
        return Version(
            number=str(found.version),
            run_id=found.run_id,
            created_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
            tags=dict(found.tags),
            is_champion=str(found.version) == champion,
        )

    def _tag(self, number: str, tags: Mapping[str, str]) -> None:
        with self.explained():
            for key, value in tags.items():
                self._client.set_model_version_tag(self.settings.model_name, number, key, value)
