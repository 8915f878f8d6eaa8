"""Removes what has outlived its retention: model versions, runs with their files, and exported lists."""

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import mlflow
from mlflow.entities import Run
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from dataflix_trainer import settings
from dataflix_trainer.data.object_store import Exports
from dataflix_trainer.errors import RegistryError
from dataflix_trainer.output import Answer
from dataflix_trainer.registry.registry import Registry, Version
from dataflix_trainer.registry.tuning_runs import KIND

log = logging.getLogger(__name__)

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Outlived:
    """What is older than the limit and not needed any more.

    Attributes:
        versions: numbers of model versions.
        runs: ids of trainings, with a version or (a failed one's) without.
        exports: keys in the bucket.
    """

    versions: list[str]
    runs: list[str]
    exports: list[str]


def prune_from_environment(days: int | None, *, dry_run: bool) -> Answer:
    """Remove what is older than so many days, by default the retention, where the settings say."""
    environ = settings.environment()
    days = settings.retention_days(environ) if days is None else days
    registry = Registry(settings.MlflowSettings.from_environ(environ))
    exports = Exports(settings.S3Settings.from_environ(environ))
    found = (outlived if dry_run else prune)(registry, exports, datetime.now(UTC) - timedelta(days=days))
    versions = f" ({', '.join(found.versions)})" if found.versions else ""
    return Answer(
        {"older_than_days": days, "dry_run": dry_run} | asdict(found),
        f"{'Would remove' if dry_run else 'Removed'} what is older than {days} days: "
        f"{len(found.versions)} versions{versions}, the files of {len(found.runs)} runs, "
        f"{len(found.exports)} exports",
    )


def outlived(registry: Registry, exports: Exports, before: datetime) -> Outlived:
    """Find what was made before a moment, without the champion and the version that a rollback would go to.

    A tuning stays: it has no files, and trainings go by it. Raises ServiceUnavailableError.
    """
    versions = registry.versions()
    needed = {version.number for version in _needed(registry, versions)}
    old = [version for version in versions if version.created_at < before and version.number not in needed]
    kept_runs = {version.run_id for version in versions} - {version.run_id for version in old}
    runs = [run.info.run_id for run in _trainings(registry, before) if run.info.run_id not in kept_runs]
    return Outlived(sorted((version.number for version in old), key=int), runs, exports.older_than(before))


def prune(registry: Registry, exports: Exports, before: datetime) -> Outlived:
    """Remove what ``outlived`` finds: files for good, then what MLflow knows of them.

    A run goes last, so that one which was interrupted is found again. MLflow keeps a deleted run's parameters
    and metrics, marked as deleted; nobody is in them. Raises RegistryError when files are still there
    afterwards, ServiceUnavailableError.
    """
    found = outlived(registry, exports, before)
    client = mlflow.MlflowClient()
    for number in found.versions:
        # It may have been made the champion since.
        version = registry.version(number)
        if version.number in {kept.number for kept in _needed(registry, registry.versions())}:
            continue
        with registry.explained():
            client.delete_model_version(registry.settings.model_name, number)
        log.info("event=version_removed version=%s", number)
    in_use = {version.run_id for version in registry.versions()}
    for run_id in found.runs:
        if run_id in in_use:
            continue
        with registry.explained():
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
    exports.remove(found.exports)
    log.info(
        "event=pruned before=%s versions=%d runs=%d exports=%d",
        before.isoformat(timespec="seconds"),
        *map(len, (found.versions, found.runs, found.exports)),
    )
    return found


def _needed(registry: Registry, versions: list[Version]) -> list[Version]:
    present = next((version for version in versions if version.is_champion), None)
    if present is None:
        return []
    before = registry.before(present, versions)
    return [present] if before is None else [present, before]


def _trainings(registry: Registry, before: datetime) -> Iterator[Run]:
    """Yield the runs of trainings that began before a moment."""
    client = mlflow.MlflowClient()
    with registry.explained():
        experiment = client.get_experiment_by_name(registry.settings.model_name)
        token: str | None = None
        while experiment is not None:
            page = client.search_runs(
                [experiment.experiment_id],
                f"attributes.start_time < {int(before.astimezone(UTC).timestamp() * 1000)}",
                max_results=_PAGE,
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
            f"MLflow was told to remove {uri}, and {len(left)} files or folders are still there; it may lack "
            "the right to delete objects in S3"
        )
