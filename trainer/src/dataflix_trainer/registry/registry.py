"""The model registry (MLflow): versions, their tags, and the alias that says which one serves."""

import logging
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any

import mlflow
import requests
from mlflow.exceptions import MlflowException, RestException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from dataflix_common.locks import LockHeldError, exclusive_lock
from dataflix_common.model_registry import (
    ARTIFACT_SHA256,
    CHAMPION_ALIAS,
    HELD_AT,
    HELD_REASON,
    PROMOTED_AT,
    PROMOTION,
    PROMOTION_KEY_VARIABLE,
    PROMOTION_NUMBER,
    PROMOTION_REASON,
    SERVING_SIGNATURE,
    SIGNATURE,
    is_signed,
    may_serve,
    promotion_signature,
    serving_signature,
)
from dataflix_common.settings import SettingsError
from dataflix_recommender import ArtifactError
from dataflix_trainer.errors import BusyError, RegistryError, ServiceUnavailableError
from dataflix_trainer.settings import MlflowSettings

log = logging.getLogger(__name__)

# The artifact that serves, inside the logged model.
MODEL_ARTIFACT = "dataflix-model"
# The artifact that was fitted without the held-out events, in the run.
EVALUATED_ARTIFACT = "evaluated-model"

# Tags of a version, with those of dataflix_common, and two values.
ROLLED_BACK_AT = "rolled_back_at"
ACCEPTED = "accepted"
REFUSED = "refused"

STORAGE_CHECK = "its log, and that the S3 store behind it (DATAFLIX_S3_HOST and _PORT) answers and has room"
MAX_DIGITS = 9
HEALTH_TIMEOUT_S = 5
# MLflow retries for up to 15 s when its storage is down. Waiting longer changes nothing.
STORAGE_TIMEOUT_S = 16
# The holder of the lock sends a few requests and, for a rollback, downloads an artifact.
PROMOTION_LOCK_TIMEOUT_S = 120


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
        """When it became champion, ISO 8601; None when it never did or was rolled back since."""
        return None if ROLLED_BACK_AT in self.tags else self.tags.get(PROMOTED_AT)

    @property
    def held_since(self) -> str | None:
        """Since when it is held, as ISO 8601; None when it is not. It counts for the champion alone."""
        if HELD_AT not in self.tags:
            return None
        try:
            return datetime.fromisoformat(self.tags[HELD_AT]).isoformat(timespec="minutes")
        except ValueError:
            # Everybody who reaches MLflow can write tags.
            return "an unknown time"

    @property
    def promotion_order(self) -> tuple[int, str]:
        """Sorts versions by when they became champion; those without a number came before."""
        number = self.tags.get(PROMOTION_NUMBER, "")
        # Everybody who reaches MLflow can write tags.
        is_number = number.isascii() and number.isdecimal() and len(number) <= MAX_DIGITS
        return int(number) if is_number else 0, self.served_from or ""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, without metrics, which cost a request for each version."""
        return {
            "version": self.number,
            "champion": self.is_champion,
            "created_at": self.created_at.isoformat(),
            "promotion": self.tags.get(PROMOTION),
            "promotion_reason": self.tags.get(PROMOTION_REASON),
            "promoted_at": self.tags.get(PROMOTED_AT),
            "rolled_back_at": self.tags.get(ROLLED_BACK_AT),
            "held_since": self.held_since if self.is_champion else None,
            "held_reason": self.tags.get(HELD_REASON) if self.is_champion and self.held_since else None,
            "mlflow_run_id": self.run_id,
        }


class Registry:
    """The one registered model of Dataflix, and its versions."""

    def __init__(self, settings: MlflowSettings) -> None:
        """Connect to MLflow.

        Raises:
            ServiceUnavailableError: MLflow is down; raised within seconds.
        """
        self.settings = settings
        self._ask(
            "/health", HEALTH_TIMEOUT_S, "does not answer", "that it runs, and DATAFLIX_MLFLOW_HOST and _PORT"
        )
        mlflow.set_tracking_uri(f"http://{settings.address}")
        self._client = mlflow.MlflowClient()

    def check_storage(self) -> None:
        """Check, before long work, that MLflow reaches its artifact store.

        Raises:
            ServiceUnavailableError: it does not.
        """
        self._ask(
            "/api/2.0/mlflow-artifacts/artifacts",
            STORAGE_TIMEOUT_S,
            "cannot reach its artifact store",
            STORAGE_CHECK,
        )

    def versions(self, limit: int | None = None) -> list[Version]:
        """Return the ``limit`` newest versions, or all, newest first."""
        with self.translate_errors():
            found = self._client.search_model_versions(f"name = '{self.settings.registered_model_name}'")
            champion = self._champion_number()
            newest_first = sorted(found, key=lambda version: -int(version.version))[:limit]
            return [self._version(version, champion) for version in newest_first]

    def version(self, number: str) -> Version:
        """Return one version.

        Raises:
            RegistryError: there is no version of this number.
        """
        if not (number.isascii() and number.isdecimal()):
            raise RegistryError(f"a model version is a whole number, not {number!r}; see: trainer models")
        with self.translate_errors():
            try:
                found = self._client.get_model_version(self.settings.registered_model_name, number)
            except RestException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                name = self.settings.registered_model_name
                raise RegistryError(f"{name} has no version {number}; see: trainer models") from error
            return self._version(found, self._champion_number())

    def metrics(self, version: Version) -> dict[str, float]:
        """Return the metrics that were measured when a version was trained."""
        with self.translate_errors():
            logged = self._client.get_run(version.run_id).data.metrics
        return {metric_name(key): value for key, value in logged.items()}

    def champion(self) -> Version | None:
        """Return the version that serves; None when no version does yet."""
        with self.translate_errors():
            number = self._champion_number()
        return None if number is None else self.version(number)

    def record_verdict(self, number: str, *, accepted: bool, reason: str) -> None:
        """Record the decision of the promotion rule on a version."""
        self._tag(number, {PROMOTION: ACCEPTED if accepted else REFUSED, PROMOTION_REASON: reason})

    def is_signed(self, version: Version) -> bool:
        """Return whether a promotion of ours signed this version, now or earlier."""
        name = self.settings.registered_model_name
        return is_signed(self._promotion_key, name, version.number, version.run_id, version.tags)

    def serving_champion(self) -> Version | None:
        """Return the version that a promotion or a rollback of ours let serve; None when there is none.

        Anyone who reaches MLflow can move the alias; that alone makes no version serve.
        """
        name, key = self.settings.registered_model_name, self._promotion_key
        signed = [
            version
            for version in self.versions()
            if may_serve(key, name, version.number, version.run_id, version.tags)
        ]
        # More than one after a promotion that was killed between its signature and the alias.
        return max(signed, key=lambda version: (version.is_champion, version.promotion_order), default=None)

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """Hold the lock that everything takes that changes which version serves.

        MLflow changes one tag at a time. Without the lock, two promotions at the same moment would each end
        the other one, and nothing would be signed as serving.

        Raises:
            BusyError: another command does not release it.
            OSError: its file cannot be made.
        """
        path = self.settings.promotion_lock
        path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            try:
                stack.enter_context(exclusive_lock(path, wait=PROMOTION_LOCK_TIMEOUT_S))
            except LockHeldError as error:
                raise BusyError(
                    f"another command has been promoting or rolling back for {PROMOTION_LOCK_TIMEOUT_S} s. "
                    f"End it if it hangs, and try again; it holds {path}"
                ) from error
            yield

    def restore_champion(self) -> Version | None:
        """Give the alias back to the version that may serve, if somebody moved it; return that version.

        Call it, like all methods that change which version serves, within ``deciding``.
        """
        serving = self.serving_champion()
        if serving is None or serving.is_champion:
            return serving
        self._set_alias(serving.number)
        log.warning(
            "event=champion_restored version=%s reason='the alias was on another one'", serving.number
        )
        return self.version(serving.number)

    def make_champion(self, number: str, artifact_sha256: str) -> None:
        """Make a version the champion: it serves from now on.

        Args:
            number: of the version; its verdict must be recorded already, because the signature covers it.
            artifact_sha256: of the manifest of the artifact that was judged.

        Raises:
            SettingsError: the promotion key is not set.
        """
        count = max((version.promotion_order[0] for version in self.versions()), default=0) + 1
        promoted = {
            PROMOTED_AT: datetime.now(UTC).isoformat(),
            PROMOTION_NUMBER: str(count),
            ARTIFACT_SHA256: artifact_sha256,
        }
        name, key = self.settings.registered_model_name, self._promotion_key
        self._tag(number, promoted)
        version = self.version(number)
        if not version.is_champion:
            # What is left of a hold of before.
            self._remove_hold(version)
        signature = promotion_signature(key, name, number, version.run_id, version.tags)
        self._tag(number, {SIGNATURE: signature})
        self._serve(number, signature)
        if ROLLED_BACK_AT in version.tags:
            self._remove_tag(number, ROLLED_BACK_AT)

    def hold(self, reason: str = "") -> Version:
        """Keep the version that serves from being replaced by the promotion rule, and return it as it was.

        Args:
            reason: why; empty keeps the one that is there, if it is held already.

        Raises:
            RegistryError: no version serves.
            SettingsError: the promotion key is not set.
        """
        present = self.restore_champion()
        if present is None:
            raise RegistryError("no version serves yet, so there is nothing to hold; see: trainer models")
        if reason:
            self._tag(present.number, {HELD_REASON: reason})
        if present.held_since is None:
            self._tag(present.number, {HELD_AT: datetime.now(UTC).isoformat()})
        return present

    def release(self) -> Version:
        """Let the promotion rule replace the version that serves again, and return it as it was before.

        Raises:
            RegistryError: no version serves.
            SettingsError: the promotion key is not set.
        """
        present = self.restore_champion()
        if present is None:
            raise RegistryError("no version serves yet, so there is nothing to release; see: trainer models")
        self._remove_hold(present)
        return present

    def roll_back(self, problem_of: Callable[[Version], str]) -> tuple[Version, Version]:
        """Give the champion alias back to the previous champion, and hold it.

        The present one is the version that serves, wherever somebody moved the alias. Without the hold, the
        next pipeline run would replace the previous champion by a version like the one that was given up.

        Args:
            problem_of: returns why a version cannot serve, empty when it can. Those that cannot are skipped.

        Returns:
            The previous champion, which serves again, and the present one, which does not any more.

        Raises:
            RegistryError: no version serves, or none that can serve did so before.
            SettingsError: the promotion key is not set.
        """
        present = self.restore_champion() or self.champion()
        if present is None:
            raise RegistryError(
                "no version serves yet, so there is nothing to roll back; see: trainer models"
            )
        versions, skipped = self.versions(), ""
        while (previous := self.previous_champion(present, versions)) is not None:
            problem = problem_of(previous)
            if not problem and not self.is_signed(previous):
                problem = (
                    f"its promotion is not signed. To judge and sign it: trainer promote {previous.number}"
                )
            if not problem:
                break
            skipped += f"; version {previous.number} did, but {problem}"
            versions.remove(previous)
        if previous is None:
            raise RegistryError(f"no version served before {present.number}{skipped}; see: trainer models")
        reason = f"Rolled back from version {present.number}."
        self._tag(previous.number, {HELD_AT: datetime.now(UTC).isoformat(), HELD_REASON: reason})
        # First: if this is killed in between, no later rollback returns to the version that was given up.
        self._tag(present.number, {ROLLED_BACK_AT: datetime.now(UTC).isoformat()})
        self._serve(previous.number, previous.tags[SIGNATURE])
        return previous, present

    def _remove_hold(self, version: Version) -> None:
        for tag in {HELD_AT, HELD_REASON} & version.tags.keys():
            self._remove_tag(version.number, tag)

    def _serve(self, number: str, signature: str) -> None:
        """Sign that a promoted version serves, move the alias, and end the same of all other versions."""
        self._tag(number, {SERVING_SIGNATURE: serving_signature(self._promotion_key, signature)})
        self._set_alias(number)
        for version in self.versions():
            for tag in (SERVING_SIGNATURE, HELD_AT):
                if version.number != number and tag in version.tags:
                    self._remove_tag(version.number, tag)

    def _set_alias(self, number: str) -> None:
        with self.translate_errors():
            self._client.set_registered_model_alias(
                self.settings.registered_model_name, CHAMPION_ALIAS, number
            )

    def _remove_tag(self, number: str, name: str) -> None:
        with self.translate_errors():
            self._client.delete_model_version_tag(self.settings.registered_model_name, number, name)

    @property
    def _promotion_key(self) -> str:
        if self.settings.promotion_key is None:
            raise SettingsError(f"{PROMOTION_KEY_VARIABLE} is not set. ./run.sh adds it to .env")
        return self.settings.promotion_key

    def previous_champion(self, present: Version, versions: Sequence[Version]) -> Version | None:
        """Return which of ``versions`` served before the present champion; None when none did."""
        # A champion that a person set in MLflow has none of our tags; then every other version counts.
        by_hand = present.served_from is None
        earlier = [
            version
            for version in versions
            if version.number != present.number
            and version.served_from is not None
            and (by_hand or version.promotion_order < present.promotion_order)
        ]
        return max(earlier, key=lambda version: version.promotion_order, default=None)

    def download_model(self, version: Version, folder: Path) -> Path:
        """Download the artifact that serves into ``folder`` and return its directory.

        Raises:
            ArtifactError: there is no such artifact.
        """
        root = f"models:/{self.settings.registered_model_name}/{version.number}"
        return self._download(root, f"artifacts/{MODEL_ARTIFACT}", folder)

    def download_evaluated(self, version: Version, folder: Path) -> Path:
        """Download the artifact that was fitted without the held-out events; return its directory.

        Raises:
            ArtifactError: there is no such artifact.
        """
        return self._download(f"runs:/{version.run_id}", EVALUATED_ARTIFACT, folder)

    def _download(self, root: str, path: str, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        with self.translate_errors():
            # Without this, files that are gone look like a service that fails.
            if not get_artifact_repository(root).list_artifacts(path):
                raise ArtifactError(Path(path), "is missing in MLflow's artifact store")
            uri = f"{root}/{path}"
            return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder)))

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Turn errors of MLflow's client into ServiceUnavailableError with what to check."""
        try:
            yield
        except (MlflowException, requests.RequestException) as error:
            raise ServiceUnavailableError(
                "MLflow",
                self.settings.address,
                f"failed: {error}",
                check=STORAGE_CHECK,
            ) from error

    def _ask(self, path: str, timeout: float, reason: str, check: str) -> None:
        """Request ``path`` once, without the retries of MLflow's client."""
        try:
            with urllib.request.urlopen(f"http://{self.settings.address}{path}", timeout=timeout):
                return
        except (OSError, HTTPException, ValueError) as error:
            raise ServiceUnavailableError(
                "MLflow", self.settings.address, f"{reason} ({error})", check=check
            ) from error

    def _champion_number(self) -> str | None:
        try:
            model = self._client.get_registered_model(self.settings.registered_model_name)
        except RestException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        number = model.aliases.get(CHAMPION_ALIAS)
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
        with self.translate_errors():
            for key, value in tags.items():
                self._client.set_model_version_tag(self.settings.registered_model_name, number, key, value)
