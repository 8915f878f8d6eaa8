"""The pipeline's steps as plain functions of strings: settings come from the environment, results are JSON.

Whatever orchestrates calls these; they know nothing of it.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from dataflix_elt import erasure, postgres
from dataflix_elt import load as loading
from dataflix_elt.comparison import Verify
from dataflix_elt.dbt_project import manifest, manifest_sha256
from dataflix_elt.settings import (
    DbtSettings,
    SourceSettings,
    TrainerSettings,
    WarehouseSettings,
    warehouse_folder,
)
from dataflix_elt.tables import table_named
from dataflix_elt.trainer import Trainer, run_job


def load(table: str, *, run_id: str, attempt: int, full: bool, verify: str) -> dict[str, Any]:
    """Bring one table up to date; see `load.load` for what it does and raises.

    Args:
        verify: a value of `Verify`.
    """
    result = loading.load(
        table_named(table),
        run_id=run_id,
        attempt=attempt,
        full=full,
        verify=Verify(verify),
        source_settings=SourceSettings.from_environ(os.environ),
        warehouse_settings=WarehouseSettings.from_environ(os.environ),
    )
    return asdict(result)


def train(*, run_id: str, run_url: str) -> dict[str, Any]:
    """Have a model trained and registered; returns the job's result, with `model_version`.

    The run's identity and that of the dbt project go along, so that a model tells what it was made of.
    """
    params = {
        "airflow_run_id": run_id,
        "airflow_run_url": run_url,
        "dbt_manifest_sha256": manifest_sha256(manifest(DbtSettings.from_environ(os.environ))),
    }
    return _job("train", run_id, params)


def publish(model_version: str, *, run_id: str) -> dict[str, Any]:
    """Have a model version promoted if the rule allows it; returns the job's result, with `promoted`.

    Nobody is erased from the warehouse meanwhile, and who is being erased is waited for.
    """
    with postgres.session(SourceSettings.from_environ(os.environ)) as source:
        source.take_turn(erasure.PUBLICATION)
        return _job("publish", run_id, {"model_version": model_version})


def prune(*, run_id: str) -> dict[str, Any]:
    """Have models and exports removed that are older than the retention; returns the job's result."""
    return _job("prune", run_id, {})


def erase() -> dict[str, Any]:
    """Remove from the warehouse who asked to be forgotten; see `erasure.erase`."""
    result = erasure.erase(
        SourceSettings.from_environ(os.environ),
        WarehouseSettings.from_environ(os.environ),
        warehouse_folder(os.environ),
    )
    return asdict(result)


def _job(kind: str, run_id: str, params: Mapping[str, Any]) -> dict[str, Any]:
    with Trainer(TrainerSettings.from_environ(os.environ)) as trainer:
        return dict(run_job(trainer, kind, f"{run_id}:{kind}", params))
