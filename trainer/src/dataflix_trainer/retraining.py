"""Trains on a warehouse without registering anything, to see which bytes come out.

The same data, parameters and threads give the same bytes, so two warehouses whose models are equal byte for
byte hold the same as far as models can tell.
"""

import importlib.metadata
import platform
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dataflix_common.model_registry import artifact_sha256
from dataflix_recommender.data.artifact import FORMAT_VERSION, sha256_of
from dataflix_trainer.data.training_data import TrainingData
from dataflix_trainer.data.warehouse import Warehouse
from dataflix_trainer.model.hyperparameters import Hyperparameters
from dataflix_trainer.training import TrainingProvenance, fit_and_evaluate

# What the bytes of an artifact depend on besides data and parameters.
_LIBRARIES = ("dataflix-trainer", "dataflix-recommender", "implicit", "numpy", "scipy")


def fingerprint(warehouse: Warehouse, parameters: Hyperparameters, *, threads: int) -> dict[str, Any]:
    """Train as a real training does, and return what identifies the result.

    Both models, the one that would serve and the one that was fitted without the held-out events, record the
    time of the latest event instead of now.

    Returns:
        ``dataset_sha256``, ``artifact_sha256`` of the model that would serve, ``files`` with the SHA-256 of
        each file of both, counts of the data, ``threads``, and ``versions``.

    Raises:
        DataError: the data cannot be trained on.
        ServiceUnavailableError: the warehouse does not answer.
    """
    data = TrainingData.read(warehouse)
    trained_at = datetime.fromisoformat(str(data.identity()["latest_event_at"]))
    trained = fit_and_evaluate(data, parameters, TrainingProvenance(), threads=threads, trained_at=trained_at)
    with TemporaryDirectory(prefix="dataflix-retrain-") as name:
        folder = Path(name)
        trained.model.save(folder / "model")
        trained.evaluated.save(folder / "evaluated")
        files = {
            str(file.relative_to(folder)): sha256_of(file)
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        }
        artifact = artifact_sha256(folder / "model")
    info = trained.model.info
    return {
        "dataset_sha256": info.dataset["sha256"],
        "artifact_sha256": artifact,
        "files": files,
        "users": info.n_users,
        "items": info.n_items,
        "interactions": info.n_interactions,
        "factors": info.factors,
        "iterations": info.iterations,
        "threads": threads,
        "versions": {
            **{name: importlib.metadata.version(name) for name in _LIBRARIES},
            "python": platform.python_version(),
            "artifact format": str(FORMAT_VERSION),
        },
    }
