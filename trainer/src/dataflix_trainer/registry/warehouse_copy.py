"""Copies the model registry into the warehouse, where the dashboard on the model's health reads it."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import pyarrow as pa

from dataflix_common.model_registry import PROMOTED_AT, PROMOTION, PROMOTION_REASON
from dataflix_trainer.data.table_swap import swap_table
from dataflix_trainer.data.warehouse import Warehouse
from dataflix_trainer.registry.registry import ROLLED_BACK_AT, Registry, Version

log = logging.getLogger(__name__)

VERSIONS_TABLE = "analytics.registry_versions"
METRICS_TABLE = "analytics.registry_metrics"

# About three months of daily runs. The metrics of each version cost a request.
KEPT_VERSIONS = 100

# Whoever changes the registry while it is copied copies it, too.
_MAX_COPIES = 5

MODEL = "model"
BASELINES = ("popularity",)
# The ends of the interval around a metric are not metrics themselves.
INTERVAL_ENDS = ("_low", "_high")

UNDECIDED = "undecided"
ROLLED_BACK = "rolled back"

_TIME = pa.timestamp("us", "UTC")


def copy_registry(warehouse: Warehouse, registry: Registry) -> int:
    """Replace the warehouse's copy of the registry by the newest versions and their metrics.

    Returns:
        The number of versions.

    Raises:
        DataError: rows were lost on the way.
        ServiceUnavailableError: MLflow or the warehouse does not answer.
    """
    present = registry.versions(KEPT_VERSIONS)
    for _ in range(_MAX_COPIES):
        versions = present
        metrics = {version.number: registry.metrics(version) for version in versions}
        swap_table(warehouse, VERSIONS_TABLE, [_version_rows(versions)])
        swap_table(warehouse, METRICS_TABLE, [_metric_rows(metrics)])
        # Another command may have copied newer versions in between, and these replaced them.
        present = registry.versions(KEPT_VERSIONS)
        if present == versions:
            break
    else:
        log.warning("event=registry_changes reason='the copy may be older than the registry'")
    log.info("event=registry_copied versions=%d", len(versions))
    return len(versions)


def split_by_candidate(metrics: Mapping[str, float]) -> Iterator[tuple[str, str, float]]:
    """Yield candidate, metric and value; ``popularity_ndcg@10`` is the metric ``ndcg@10`` of popularity."""
    for name, value in metrics.items():
        if name.endswith(INTERVAL_ENDS):
            continue
        candidate, _, metric = name.partition("_")
        yield (candidate, metric, value) if candidate in BASELINES else (MODEL, name, value)


def _version_rows(versions: Sequence[Version]) -> pa.Table:
    promoted_at = [version.tags.get(PROMOTED_AT) for version in versions]
    return pa.table(
        {
            "model_version": pa.array([int(version.number) for version in versions], pa.uint32()),
            "registered_at": pa.array([version.created_at for version in versions], _TIME),
            "decision": pa.array([_decision(version) for version in versions], pa.string()),
            "decision_reason": pa.array(
                [version.tags.get(PROMOTION_REASON, "") for version in versions], pa.string()
            ),
            "is_champion": pa.array([version.is_champion for version in versions], pa.bool_()),
            "airflow_run_id": pa.array(
                [version.tags.get("airflow_run_id", "") for version in versions], pa.string()
            ),
            "promoted_at": pa.array([_time(at) for at in promoted_at], _TIME),
        }
    )


def _time(text: str | None) -> datetime | None:
    """Return the time of a tag; None when somebody wrote another text into it."""
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:
        return None


def _decision(version: Version) -> str:
    if ROLLED_BACK_AT in version.tags and not version.is_champion:
        return ROLLED_BACK
    return version.tags.get(PROMOTION, UNDECIDED)


def _metric_rows(metrics: Mapping[str, Mapping[str, float]]) -> pa.Table:
    rows = [(int(number), *row) for number, values in metrics.items() for row in split_by_candidate(values)]
    return pa.table(
        {
            "model_version": pa.array([row[0] for row in rows], pa.uint32()),
            "candidate": pa.array([row[1] for row in rows], pa.string()),
            "metric": pa.array([row[2] for row in rows], pa.string()),
            "value": pa.array([row[3] for row in rows], pa.float64()),
        }
    )
