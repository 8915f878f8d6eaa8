"""The pipeline's steps as plain functions: settings come from the environment, results are JSON.

An orchestrator calls them; they know nothing about it.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from dataflix_elt.clients import postgres
from dataflix_elt.clients.dbt_project import manifest, manifest_sha256
from dataflix_elt.erasure import erase as erasing
from dataflix_elt.loading import load as loading
from dataflix_elt.loading.reconciliation import Verify
from dataflix_elt.settings import (
    DbtSettings,
    SourceSettings,
    TrainerSettings,
    WarehouseFilesSettings,
    WarehouseSettings,
)
from dataflix_elt.tables import table_named


def load(
    table: str, *, run_id: str, attempt: int, full: bool, accept_source: bool, verify: str
) -> dict[str, Any]:
    """Load one table; see `dataflix_elt.loading.load.load` for what it does and raises.

    Args:
        table: its name.
        run_id: the pipeline's run.
        attempt: number of this try.
        full: load the whole table.
        accept_source: replace the rows of another database.
        verify: a value of `Verify`.
    """
    result = loading.load(
        table_named(table),
        run_id=run_id,
        attempt=attempt,
        full=full,
        accept_source=accept_source,
        verify=Verify(verify),
        source_settings=SourceSettings.from_environ(os.environ),
        warehouse_settings=WarehouseSettings.from_environ(os.environ),
    )
    return asdict(result)


def train(*, run_id: str, run_url: str) -> dict[str, Any]:
    """Let the trainer train and register a model; returns the job's result, with `model_version`.

    The model is tagged with the run and the hash of the dbt project, so that its origin is known.
    """
    params = {
        "airflow_run_id": run_id,
        "airflow_run_url": run_url,
        "dbt_manifest_sha256": manifest_sha256(manifest(DbtSettings.from_environ(os.environ))),
    }
    return _job("train", run_id, params)


def publish(model_version: str, *, run_id: str) -> dict[str, Any]:
    """Let the trainer promote a model version if the rule allows it; returns the result, with `promoted`.

    No erasure runs meanwhile, and the step waits for one that is running.
    """
    with postgres.session(SourceSettings.from_environ(os.environ)) as source:
        source.advisory_lock(erasing.PUBLICATION_LOCK)
        return _job("publish", run_id, {"model_version": model_version})


def prune(*, run_id: str) -> dict[str, Any]:
    """Let the trainer remove models and exports older than the retention; returns the job's result."""
    return _job("prune", run_id, {})


def erase(*, without_search: bool = False) -> dict[str, Any]:
    """Remove deleted users from the warehouse; see `dataflix_elt.erasure.erase.erase`.

    Args:
        without_search: do not search ClickHouse's files, and record that.
    """
    result = erasing.erase(
        SourceSettings.from_environ(os.environ),
        WarehouseSettings.from_environ(os.environ),
        None if without_search else WarehouseFilesSettings.from_environ(os.environ).folder,
    )
    return asdict(result)


def _job(kind: str, run_id: str, params: Mapping[str, Any]) -> dict[str, Any]:
    # Loads, which run far more often, need no HTTP client, and its import takes 0.3 s.
    from dataflix_elt.clients.trainer import Trainer, run_job  # noqa: PLC0415

    with Trainer(TrainerSettings.from_environ(os.environ)) as trainer:
        return dict(run_job(trainer, kind, f"{run_id}:{kind}", params))
