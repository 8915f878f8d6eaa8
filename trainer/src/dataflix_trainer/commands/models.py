"""Commands on the registry's model versions: each opens the services that the settings name."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from dataflix_trainer import training
from dataflix_trainer.commands.results import CommandResult
from dataflix_trainer.commands.tables import evaluation_table, versions_table
from dataflix_trainer.data.object_store import Exports
from dataflix_trainer.data.training_data import TrainingData
from dataflix_trainer.data.warehouse import Warehouse
from dataflix_trainer.errors import RegistryError
from dataflix_trainer.evaluation import new_items
from dataflix_trainer.evaluation.options import MAIN_METRIC
from dataflix_trainer.promotion import publication
from dataflix_trainer.registry.registry import Registry, Version
from dataflix_trainer.registry.retention import find_expired, prune_expired
from dataflix_trainer.settings import (
    ClickHouseSettings,
    MlflowSettings,
    RetentionSettings,
    S3Settings,
    TrainingSettings,
    TuningSettings,
    read_environment,
)
from dataflix_trainer.tuning import study


def train(parameters: Mapping[str, Any], provenance: Mapping[str, str]) -> CommandResult:
    """Train and register one version."""
    environ = read_environment()
    threads = TrainingSettings.from_environ(environ).threads
    with _services(environ) as (warehouse, registry):
        result = training.train(
            warehouse, registry, parameters, training.TrainingProvenance(**provenance), threads=threads
        )
    measured = training.main_metrics(result["metrics"]) or "nothing, because users have too few events"
    return CommandResult(
        result,
        f"Registered version {result['model_version']}. Measured on each user's latest fifth: {measured}",
    )


def tune(seconds: float) -> CommandResult:
    """Search for better hyperparameters, which later trainings use."""
    environ = read_environment()
    threads = TrainingSettings.from_environ(environ).threads
    folder = TuningSettings.from_environ(environ).studies_dir
    with _services(environ) as (warehouse, registry):
        result = study.tune(warehouse, registry, seconds=seconds, threads=threads, folder=folder)
    params = ", ".join(f"{name} {value:.4g}" for name, value in result["params"].items())
    return CommandResult(
        result,
        f"Best of {result['trials']} trials ({result['new_trials']} new): {MAIN_METRIC.upper()} "
        f"{result[f'validation_{MAIN_METRIC}']:.4f} on {result['users']} users; the defaults gave "
        f"{result[f'default_{MAIN_METRIC}']:.4f}. Parameters: {params}. "
        "From now on, trainer train uses them.",
    )


def reset_tuning() -> CommandResult:
    """Forget the tunings on the present source's data."""
    environ = read_environment()
    folder = TuningSettings.from_environ(environ).studies_dir
    with _services(environ) as (warehouse, registry):
        result = study.reset(warehouse, registry, folder=folder)
    return CommandResult(
        result,
        f"Forgot {result['tunings']} tunings on data of {result['source']}. trainer train uses the defaults "
        "until the next trainer tune.",
    )


def evaluate(number: str | None) -> CommandResult:
    """Measure one version on the present data."""
    with _services(read_environment()) as (warehouse, registry):
        version = registry.version(number) if number else registry.champion() or _newest(registry)
        result = publication.evaluate_version(registry, version, publication.read_present(warehouse))
    return CommandResult(result, evaluation_table(result))


def evaluate_new_items() -> CommandResult:
    """Measure how items without an event are placed."""
    environ = read_environment()
    threads = TrainingSettings.from_environ(environ).threads
    with _services(environ) as (warehouse, registry):
        parameters, _ = training.choose_parameters(registry, {}, warehouse.source())
        data = TrainingData.read(warehouse)
    result = new_items.evaluate_new_items(data, parameters, threads=threads)

    def shown(name: str) -> str:
        return "{mean:.4f} ({low:.4f} to {high:.4f})".format(**result[name])

    return CommandResult(
        result,
        f"{result['new_items']} of {result['items']:,} items were made new. Among themselves, for "
        f"{result['new_users']:,} users who like one: NDCG@10 {shown('new_ndcg@10')}, in random order "
        f"{shown('new_random_ndcg@10')}. In lists of all items, for {result['users']:,} users: NDCG@10 "
        f"{result['ndcg@10']:.4f}, and without placing new items {result['ndcg@10_without']:.4f}, gain "
        f"{shown('ndcg@10_gain')}; of ten places {result['offered']:.2f} are new items'.",
    )


def promote(number: str | None, *, force: bool) -> CommandResult:
    """Apply the promotion rule to one version, or skip the rule."""
    environ = read_environment()
    if force:
        registry = _registry(environ)
        version = _version(registry, number)
        verdict = publication.force(registry, version)
    else:
        with _services(environ) as (warehouse, registry):
            version = _version(registry, number)
            verdict = publication.promote(registry, version, publication.read_present(warehouse))
    data = {"version": version.number, "promoted": verdict.accepted, "reason": verdict.reason}
    return CommandResult(data, _outcome(version, verdict.accepted, verdict.reason))


def publish(number: str | None) -> CommandResult:
    """Apply the promotion rule to one version and write the champion's lists."""
    environ = read_environment()
    threads = TrainingSettings.from_environ(environ).threads
    with _services(environ) as (warehouse, registry):
        version = _version(registry, number)
        result = publication.publish(warehouse, registry, version, threads=threads)
    return CommandResult(
        result,
        f"{_outcome(version, result['promoted'], result['reason'])}\n"
        f"Champion: {_champion_text(result)}; lists written: {result['recommendation_rows']:,} rows",
    )


def rollback() -> CommandResult:
    """Give the champion alias back to the previous champion, and hold it."""
    previous, present = publication.roll_back(_registry(read_environment()))
    return CommandResult(
        {"champion": previous.number, "rolled_back": present.number},
        f"Version {previous.number} serves again in place of {present.number}, and is held: no pipeline run "
        "replaces it until trainer release. The published lists are still those of the last publish. To "
        f"write new ones: trainer publish {previous.number}",
    )


def hold(reason: str) -> CommandResult:
    """Keep the champion from being replaced by the promotion rule."""
    held = publication.hold(_registry(read_environment()), reason)
    already = held.held_since is not None
    return CommandResult(
        {"champion": held.number, "held_before": already},
        f"Version {held.number} {'was held already' if already else 'is held'}: no pipeline run replaces it "
        "until trainer release.",
    )


def release() -> CommandResult:
    """Let the promotion rule replace the champion again."""
    champion = publication.release(_registry(read_environment()))
    was_held = champion.held_since is not None
    text = f"Version {champion.number} was not held."
    if was_held:
        text = (
            f"Version {champion.number} is released: the next version that the rule accepts replaces it. To "
            "judge the newest now: trainer promote"
        )
    return CommandResult({"champion": champion.number, "held_before": was_held}, text)


def models(limit: int) -> CommandResult:
    """List the newest versions."""
    registry = _registry(read_environment())
    versions = [(version, registry.metrics(version)) for version in registry.versions(limit)]
    text = versions_table(versions) if versions else "There is no version yet. To make one: trainer train"
    return CommandResult([version.to_dict() | {"metrics": metrics} for version, metrics in versions], text)


def prune(days: int | None, *, dry_run: bool) -> CommandResult:
    """Remove what is older than ``days``, by default the retention of the settings."""
    environ = read_environment()
    days = RetentionSettings.from_environ(environ).days if days is None else days
    registry = _registry(environ)
    exports = Exports(S3Settings.from_environ(environ))
    before = datetime.now(UTC) - timedelta(days=days)
    expired = (find_expired if dry_run else prune_expired)(registry, exports, before)
    versions = f" ({', '.join(expired.versions)})" if expired.versions else ""
    return CommandResult(
        {"older_than_days": days, "dry_run": dry_run} | asdict(expired),
        f"{'Would remove' if dry_run else 'Removed'} what is older than {days} days: "
        f"{len(expired.versions)} versions{versions}, the files of {len(expired.runs)} runs, "
        f"{len(expired.exports)} exports",
    )


@contextmanager
def _services(environ: Mapping[str, str]) -> Iterator[tuple[Warehouse, Registry]]:
    """Open warehouse and registry, so that a service that is down is reported before any work."""
    clickhouse = ClickHouseSettings.from_environ(environ)
    registry = _registry(environ)
    with Warehouse.connect(clickhouse) as warehouse:
        yield warehouse, registry


def _registry(environ: Mapping[str, str]) -> Registry:
    return Registry(MlflowSettings.from_environ(environ))


def _version(registry: Registry, number: str | None) -> Version:
    return registry.version(number) if number else _newest(registry)


def _newest(registry: Registry) -> Version:
    versions = registry.versions(1)
    if not versions:
        raise RegistryError("no model version is registered yet. To make one: trainer train")
    return versions[0]


def _champion_text(result: Mapping[str, Any]) -> str:
    if result["champion_problem"] is None:
        return str(result["champion"] or "none")
    return (
        f"{result['champion']}, but {result['champion_problem']}. Until a version is promoted, the API "
        "serves the last good model or popular movies, and the lists of the last publish stay"
    )


def _outcome(version: Version, accepted: bool, reason: str) -> str:
    return f"Version {version.number} {'serves' if accepted else 'was refused'}: {reason}"
