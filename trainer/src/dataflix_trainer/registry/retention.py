"""Removes what is past its retention: model versions, runs with their files, and exported lists."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import mlflow
from mlflow.entities import Run
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from dataflix_common.model_registry import SERVING_SIGNATURE
from dataflix_trainer.data.object_store import Exports
from dataflix_trainer.errors import RegistryError
from dataflix_trainer.registry.registry import Registry, Version
from dataflix_trainer.registry.tuning_runs import KIND

log = logging.getLogger(__name__)

_PAGE_SIZE = 1000


@dataclass(frozen=True, slots=True)
class ExpiredArtifacts:
    """What is older than the limit and not needed any more.

    Attributes:
        versions: numbers of model versions.
        runs: ids of training runs, with a version or, after a failed training, without.
        exports: keys in the bucket.
    """

    versions: list[str]
    runs: list[str]
    exports: list[str]


def find_expired(registry: Registry, exports: Exports, before: datetime) -> ExpiredArtifacts:
    """Find what was made before a moment, except the champion and the one that a rollback would return to.

    Tuning runs stay: they have no files, and trainings use their parameters.

    Raises:
        ServiceUnavailableError: MLflow or S3 does not answer.
    """
    versions = registry.versions()
    needed = _needed_numbers(registry, versions)
    expired = [
        version for version in versions if version.created_at < before and version.number not in needed
    ]
    kept_runs = {version.run_id for version in versions} - {version.run_id for version in expired}
    runs = [run.info.run_id for run in _training_runs(registry, before) if run.info.run_id not in kept_runs]
    return ExpiredArtifacts(
        sorted((version.number for version in expired), key=int), runs, exports.older_than(before)
    )


def prune_expired(registry: Registry, exports: Exports, before: datetime) -> ExpiredArtifacts:
    """Remove what ``find_expired`` finds: first the files, then MLflow's records of them.

    A run goes last, so an interrupted removal is found again. MLflow keeps the parameters and metrics of a
    deleted run, marked as deleted; they hold nothing about a person.

    Raises:
        RegistryError: files are still there after their removal.
        ServiceUnavailableError: MLflow or S3 does not answer.
    """
    expired = find_expired(registry, exports, before)
    client = mlflow.MlflowClient()
    for number in expired.versions:
        with registry.deciding():
            # The version may have become champion since it was found.
            if number in _needed_numbers(registry, registry.versions()):
                continue
            with registry.translate_errors():
                client.delete_model_version(registry.settings.registered_model_name, number)
        log.info("event=version_removed version=%s", number)
    in_use = {version.run_id for version in registry.versions()}
    for run_id in expired.runs:
        if run_id in in_use:
            continue
        with registry.translate_errors():
            run = client.get_run(run_id)
            models = client.search_logged_models(
                [run.info.experiment_id], filter_string=f"source_run_id = '{run_id}'"
            )
            for model in models:
                _remove_files(str(model.artifact_location))
                client.delete_logged_model(model.model_id)
            _remove_files(str(run.info.artifact_uri))
            client.delete_run(run_id)
        log.info("event=run_removed run_id=%s", run_id)
    exports.remove(expired.exports)
    log.info(
        "event=pruned before=%s versions=%d runs=%d exports=%d",
        before.isoformat(timespec="seconds"),
        *map(len, (expired.versions, expired.runs, expired.exports)),
    )
    return expired


def _needed_numbers(registry: Registry, versions: list[Version]) -> set[str]:
    """Return the numbers of the champion and of the version that a rollback would return to.

    A version with the signature of serving stays too: somebody may have moved the alias away from it.
    """
    needed = {version.number for version in versions if SERVING_SIGNATURE in version.tags}
    champion = next((version for version in versions if version.is_champion), None)
    if champion is not None:
        previous = registry.previous_champion(champion, versions)
        needed |= {champion.number} if previous is None else {champion.number, previous.number}
    return needed


def _training_runs(registry: Registry, before: datetime) -> Iterator[Run]:
    """Yield the runs of trainings that began before a moment."""
    client = mlflow.MlflowClient()
    with registry.translate_errors():
        experiment = client.get_experiment_by_name(registry.settings.registered_model_name)
        token: str | None = None
        while experiment is not None:
            page = client.search_runs(
                [experiment.experiment_id],
                f"attributes.start_time < {int(before.astimezone(UTC).timestamp() * 1000)}",
                max_results=_PAGE_SIZE,
                page_token=token,
            )
            yield from (run for run in page if KIND not in run.data.tags)
            token = page.token
            if not token:
                return


def _remove_files(uri: str) -> None:
    repository = get_artifact_repository(uri)
    repository.delete_artifacts()  # type: ignore[no-untyped-call]
    if left := repository.list_artifacts():
        raise RegistryError(
            f"MLflow removed {uri}, yet {len(left)} files or folders are still there. Check that it has the "
            "right to delete objects in S3"
        )
