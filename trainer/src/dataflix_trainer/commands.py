"""What the commands do: open the services that the settings name, act, and put the outcome into words."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from typing import Any

from rich.console import Console
from rich.table import Table

from dataflix_trainer import settings, training
from dataflix_trainer.data.warehouse import Warehouse
from dataflix_trainer.errors import RegistryError
from dataflix_trainer.evaluation.holdout_evaluation import MAIN_METRIC
from dataflix_trainer.output import Answer
from dataflix_trainer.promotion import publication as publishing
from dataflix_trainer.registry.registry import Registry, Version
from dataflix_trainer.tuning import study as tuning

# Wide enough for every column but the reason, which wraps.
TABLE_WIDTH = 140


def train(parameters: Mapping[str, Any], origin: Mapping[str, str]) -> Answer:
    """Train and register one version."""
    environ = settings.environment()
    threads = settings.training_threads(environ)
    with _services(environ) as (warehouse, registry):
        result = training.train(warehouse, registry, parameters, training.Origin(**origin), threads=threads)
    return Answer(
        result,
        f"Registered version {result['model_version']}. Measured on each user's latest "
        f"fifth: {training.in_short(result['metrics']) or 'nothing, too few events per user'}",
    )


def tune(seconds: float) -> Answer:
    """Search for better parameters; later trainings take them."""
    environ = settings.environment()
    threads = settings.training_threads(environ)
    folder = settings.tuning_dir(environ)
    with _services(environ) as (warehouse, registry):
        result = tuning.tune(warehouse, registry, seconds=seconds, threads=threads, folder=folder)
    found = ", ".join(f"{name} {value:.4g}" for name, value in result["params"].items())
    return Answer(
        result,
        f"Best of {result['trials']} trials ({result['new_trials']} new): {MAIN_METRIC.upper()} "
        f"{result[f'validation_{MAIN_METRIC}']:.4f} on {result['users']} users, the defaults "
        f"{result[f'default_{MAIN_METRIC}']:.4f}. Parameters: {found}. trainer train uses them from now on.",
    )


def evaluate(number: str | None) -> Answer:
    """Measure one version on the present data."""
    with _services(settings.environment()) as (warehouse, registry):
        version = registry.version(number) if number else registry.champion() or _newest(registry)
        result = publishing.evaluate_version(registry, version, publishing.read_interactions(warehouse))
    table = Table("metric", f"version {version.number}", "popularity", title=f"{result['users']} users")
    for name, value in result["metrics"].items():
        table.add_row(name, f"{value:.4f}", f"{result['popularity'][name]:.4f}")
    return Answer(result, _rendered(table))


def promote(number: str | None, *, force: bool) -> Answer:
    """Apply the rule to one version, or skip it."""
    environ = settings.environment()
    if force:
        registry = _registry(environ)
        version = _chosen(registry, number)
        verdict = publishing.force(registry, version)
    else:
        with _services(environ) as (warehouse, registry):
            version = _chosen(registry, number)
            verdict = publishing.promote(registry, version, publishing.read_interactions(warehouse))
    outcome = "serves" if verdict.accepted else "was refused"
    data = {"version": version.number, "promoted": verdict.accepted, "reason": verdict.reason}
    return Answer(data, f"Version {version.number} {outcome}: {verdict.reason}")


def publish(number: str | None) -> Answer:
    """Apply the rule to one version and write the champion's lists."""
    environ = settings.environment()
    threads = settings.training_threads(environ)
    with _services(environ) as (warehouse, registry):
        version = _chosen(registry, number)
        result = publishing.publish(warehouse, registry, version, threads=threads)
    outcome = "serves" if result["promoted"] else "was refused"
    return Answer(
        result,
        f"Version {version.number} {outcome}: {result['reason']}\n"
        f"Champion: {result['champion'] or 'none'}; lists written: {result['recommendation_rows']:,} rows",
    )


def rollback() -> Answer:
    """Give the alias back to the version before."""
    before, present = _registry(settings.environment()).roll_back()
    return Answer(
        {"champion": before.number, "rolled_back": present.number},
        f"Version {before.number} serves again in place of {present.number}. The published lists are still "
        f"those of the last publish; trainer publish {before.number} writes them anew.",
    )


def models(limit: int) -> Answer:
    """List the newest versions."""
    registry = _registry(settings.environment())
    versions = [(version, registry.metrics(version)) for version in registry.versions(limit)]
    table = Table("version", "trained (UTC)", "NDCG@10", "popularity", "coverage@10", "decision", "reason")
    shown = (MAIN_METRIC, f"popularity_{MAIN_METRIC}", "coverage@10")
    for version, metrics in versions:
        row = version.to_dict()
        table.add_row(
            f"{version.number}{' champion' if version.is_champion else ''}",
            f"{version.created_at:%Y-%m-%d %H:%M}",
            *(f"{metrics[name]:.4f}" if name in metrics else "" for name in shown),
            "rolled back" if row["rolled_back_at"] else row["promotion"] or "not judged",
            row["promotion_reason"] or "",
        )
    text = _rendered(table) if versions else "No version yet; trainer train makes one."
    return Answer([version.to_dict() | {"metrics": metrics} for version, metrics in versions], text)


@contextmanager
def _services(environ: Mapping[str, str]) -> Iterator[tuple[Warehouse, Registry]]:
    """Open both, so that what is away is told of before any work is done."""
    clickhouse = settings.ClickHouseSettings.from_environ(environ)
    registry = _registry(environ)
    with Warehouse.connect(clickhouse) as warehouse:
        yield warehouse, registry


def _registry(environ: Mapping[str, str]) -> Registry:
    return Registry(settings.MlflowSettings.from_environ(environ))


def _chosen(registry: Registry, number: str | None) -> Version:
    return registry.version(number) if number else _newest(registry)


def _newest(registry: Registry) -> Version:
    versions = registry.versions(1)
    if not versions:
        raise RegistryError("no model version is registered yet; trainer train makes one")
    return versions[0]


def _rendered(table: Table) -> str:
    console = Console(file=StringIO(), width=TABLE_WIDTH)
    with console.capture() as capture:
        console.print(table)
    return capture.get().rstrip()
