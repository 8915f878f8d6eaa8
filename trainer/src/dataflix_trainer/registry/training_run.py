"""Logs one training to MLflow: a run, its logged model, and a registered version."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import pandas as pd
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array

import dataflix_recommender
from dataflix_recommender import Model
from dataflix_trainer.registry.registry import (
    EVALUATED_ARTIFACT,
    MODEL_ARTIFACT,
    Registry,
    Version,
    metric_key,
)

# MLflow keeps at most this many characters of the digest of a data set.
MAX_DIGEST_LENGTH = 36

# The text at the top of the model's page in MLflow.
MODEL_DESCRIPTION = (
    "Recommends movies to people from what they rated and watched: item factors of implicit ALS, into which "
    "the events of a person are folded at each request. The version with the alias `champion` serves. "
    "Promotion is a rule in code; the tags of a version record what it decided, and why."
)


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """The outcome of a training.

    Attributes:
        model: fitted on all data; serves.
        evaluated: fitted without the held-out events. It is kept so that later candidates can be compared
            with it on events that neither has seen.
        params: for the run.
        tags: for the run and the version.
    """

    model: Model
    evaluated: Model
    params: Mapping[str, Any]
    tags: Mapping[str, str] = field(default_factory=dict)


def log_and_register(registry: Registry, trained: TrainedModel, description: str) -> Version:
    """Log parameters, metrics, data set and both artifacts, then register a version.

    Nothing is registered unless everything was logged.

    Raises:
        ServiceUnavailableError: MLflow does not answer.
    """
    info = trained.model.info
    model_name = registry.settings.registered_model_name
    with registry.translate_errors(), TemporaryDirectory(prefix="dataflix-train-") as folder:
        model_dir, evaluated_dir = Path(folder) / MODEL_ARTIFACT, Path(folder) / EVALUATED_ARTIFACT
        trained.model.save(model_dir)
        trained.evaluated.save(evaluated_dir)
        mlflow.set_experiment(model_name)
        with mlflow.start_run(description=description, tags=dict(trained.tags)):
            mlflow.log_params(dict(trained.params))
            source = CodeDatasetSource({key: str(value) for key, value in info.dataset.items()})
            digest = str(info.dataset["sha256"])[:MAX_DIGEST_LENGTH]
            table = MetaDataset(source, name=info.dataset["name"], digest=digest)  # type: ignore[abstract]
            mlflow.log_input(table, context="training")
            mlflow.log_artifacts(str(evaluated_dir), EVALUATED_ARTIFACT)
            logged = _log_model(model_dir, trained.model)
            # After the model: metrics logged before it are copied to it with one request each.
            metrics = {metric_key(name): value for name, value in info.metrics.items()}
            mlflow.log_metrics(metrics, model_id=logged.model_id)
        version = mlflow.register_model(logged.model_uri, model_name, tags=dict(trained.tags))
        client = mlflow.MlflowClient()
        client.update_model_version(model_name, version.version, description)
        # A description that a person wrote stays.
        if not client.get_registered_model(model_name).description:
            client.update_registered_model(model_name, MODEL_DESCRIPTION)
    return registry.version(str(version.version))


def _log_model(model_dir: Path, model: Model) -> Any:
    signature = ModelSignature(
        inputs=Schema(
            [ColSpec(Array(DataType.long), "movie_ids"), ColSpec(Array(DataType.double), "ratings")]
        ),
        outputs=Schema(
            [ColSpec(Array(DataType.long), "movie_ids"), ColSpec(Array(DataType.double), "scores")]
        ),
        params=ParamSchema([ParamSpec("n", DataType.long, 10)]),
    )
    example = pd.DataFrame(
        {"movie_ids": [model.item_ids[:2].tolist()], "ratings": [[5.0, 3.5][: model.size]]}
    )
    return mlflow.pyfunc.log_model(
        name="model",
        python_model=str(Path(__file__).with_name("pyfunc_model.py")),
        artifacts={"model": str(model_dir)},
        signature=signature,
        input_example=example,
        # dataflix_recommender is on no package index, so the model brings its code along.
        code_paths=[str(Path(dataflix_recommender.__file__).parent)],
        # Given, because finding them out takes MLflow a minute.
        pip_requirements=["numpy>=2,<3", "scipy>=1.15,<2", "pandas"],
    )
