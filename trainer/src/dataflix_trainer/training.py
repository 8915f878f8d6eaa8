"""One training: read, split, fit, evaluate, fit again on all data, log and register."""

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any

from dataflix_recommender import ModelInfo, SourceIdentity
from dataflix_trainer.data.holdout import HOLDOUT_SEED, latest_events
from dataflix_trainer.data.training_data import TrainingData
from dataflix_trainer.data.warehouse import Warehouse
from dataflix_trainer.evaluation.holdout_evaluation import (
    BOOTSTRAP_SEED,
    Evaluation,
    evaluate_model,
    evaluate_popularity,
)
from dataflix_trainer.evaluation.options import MAIN_METRIC
from dataflix_trainer.model.hyperparameters import Hyperparameters
from dataflix_trainer.model.product_model import build_model, fit_logged, model_info
from dataflix_trainer.registry.registry import Registry
from dataflix_trainer.registry.training_run import TrainedModel, log_and_register
from dataflix_trainer.registry.tuning_runs import latest_tuning

log = logging.getLogger(__name__)

# Who chose the parameters of a training, as its run records it.
DEFAULTS, GIVEN = "defaults", "given"


@dataclass(frozen=True, slots=True)
class TrainingProvenance:
    """What started a training; empty where it is not known. The names are those of the version's tags."""

    airflow_run_id: str = ""
    airflow_run_url: str = ""
    dbt_manifest_sha256: str = ""
    job_id: str = ""


def train(
    warehouse: Warehouse,
    registry: Registry,
    given: Mapping[str, Any],
    provenance: TrainingProvenance,
    *,
    threads: int,
) -> dict[str, Any]:
    """Train and register one version.

    Args:
        warehouse: holds the data.
        registry: gets the version.
        given: hyperparameters; the others are those of the latest tuning on data of the same source, else the
            defaults.
        provenance: what started the training.
        threads: that fit.

    Returns:
        ``mlflow_run_id``, ``model_version`` and ``metrics``.

    Raises:
        DataError: the data cannot be trained on.
        ServiceUnavailableError: a service does not answer.
    """
    registry.check_storage()
    parameters, chosen_by = choose_parameters(registry, given, warehouse.source())
    log.info("event=parameters chosen_by=%r %s", chosen_by, parameters)
    data = TrainingData.read(warehouse)
    trained = fit_and_evaluate(data, parameters, provenance, threads=threads, chosen_by=chosen_by)
    version = log_and_register(registry, trained, _description(trained.model.info, provenance))
    log.info("event=registered version=%s run_id=%s", version.number, version.run_id)
    return {
        "mlflow_run_id": version.run_id,
        "model_version": version.number,
        "metrics": trained.model.info.metrics,
    }


def choose_parameters(
    registry: Registry, given: Mapping[str, Any], source: SourceIdentity
) -> tuple[Hyperparameters, str]:
    """Return the parameters of a training on data of a source, and who chose them.

    ``given`` wins over the latest tuning on data of the same source.

    Raises:
        ServiceUnavailableError: MLflow does not answer.
    """
    tuning = latest_tuning(registry, source)
    # A tuning by another version of this code may have had other parameters.
    names = {field.name for field in fields(Hyperparameters)}
    tuned = {name: value for name, value in tuning.params.items() if name in names} if tuning else {}
    chosen_by = f"tuning run {tuning.run_id}" if tuning else DEFAULTS
    if given:
        chosen_by = f"{GIVEN}: {', '.join(sorted(given))}; else {chosen_by}"
    return Hyperparameters(**(tuned | dict(given))), chosen_by


def fit_and_evaluate(
    data: TrainingData,
    parameters: Hyperparameters,
    provenance: TrainingProvenance,
    *,
    threads: int,
    chosen_by: str = GIVEN,
    trained_at: datetime | None = None,
) -> TrainedModel:
    """Fit without the held-out events and evaluate; then fit the model that serves on all data.

    Both fits have the same parameters; a regularization that is scaled to the data is scaled to each. The
    second fit starts at the factors of the first, so that it has had all iterations at its end.

    Args:
        data: what to train on.
        parameters: of both fits.
        provenance: what started the training.
        threads: that fit.
        chosen_by: who chose the parameters.
        trained_at: the time that the models record; now if it is not given. Everything else in an artifact
            follows from data, parameters and threads.

    Raises:
        DataError: the data cannot be trained on.
    """
    interactions = data.interactions
    info = model_info(
        data, parameters, dbt_manifest_sha256=provenance.dbt_manifest_sha256, trained_at=trained_at
    )
    holdout = latest_events(interactions, seed=HOLDOUT_SEED)
    cold = replace(parameters, iterations=parameters.cold_iterations)
    first = fit_logged(holdout.train, holdout.times, cold, threads)
    evaluated = build_model(data, first, cold, replace(info, iterations=cold.iterations))
    with ThreadPoolExecutor(1, thread_name_prefix="popularity") as pool:
        popularity = pool.submit(evaluate_popularity, holdout)
        evaluation = evaluate_model(evaluated, holdout)
        metrics = _model_metrics(evaluation, popularity.result())
    log.info("event=evaluated users=%d %s", evaluation.users, main_metrics(metrics))
    final = fit_logged(interactions.matrix, interactions.times, parameters, threads, start=first.factors)
    model = build_model(data, final, parameters, info.with_metrics(metrics))
    params = asdict(parameters) | {
        "regularization": model.info.regularization,
        "regularization_evaluated": evaluated.info.regularization,
        "iterations_evaluated": cold.iterations,
        "parameters_chosen_by": chosen_by,
        "threads": threads,
        "holdout_seed": HOLDOUT_SEED,
        "evaluated_users": evaluation.users,
        "n_users": info.n_users,
        "n_items": info.n_items,
        "n_interactions": info.n_interactions,
    }
    tags = {name: value for name, value in asdict(provenance).items() if value}
    return TrainedModel(model, evaluated, params, tags | {"dataset_sha256": info.dataset["sha256"]})


def _model_metrics(evaluation: Evaluation, popularity: Evaluation) -> dict[str, float]:
    """Return the metrics that the model records: its own, popularity's, and the main one's interval."""
    if evaluation.users == 0:
        return {}
    _, low, high = evaluation.interval(MAIN_METRIC, seed=BOOTSTRAP_SEED)
    baseline = {f"popularity_{name}": value for name, value in popularity.means().items()}
    return evaluation.means() | baseline | {f"{MAIN_METRIC}_low": low, f"{MAIN_METRIC}_high": high}


def main_metrics(metrics: Mapping[str, float]) -> str:
    """Return the most important metrics as ``name=value``; empty when nothing was measured."""
    shown = (MAIN_METRIC, f"popularity_{MAIN_METRIC}", "recall@10", "coverage@10")
    return " ".join(f"{name}={metrics[name]:.4f}" for name in shown if name in metrics)


def _description(info: ModelInfo, provenance: TrainingProvenance) -> str:
    """Return the text of a version's page in MLflow, in Markdown, because tags cannot be links there."""
    run = provenance.airflow_run_id or "the run"
    url = provenance.airflow_run_url
    trained_by = f"\n\nTrained by Airflow: [`{run}`]({url})." if url else ""
    measured = main_metrics(info.metrics) or "not evaluated, because users have too few events"
    return (
        f"Implicit ALS, {info.factors} factors, on {info.n_interactions:,} interactions of {info.n_users:,} "
        f"users with {info.n_items:,} movies. Each user's latest fifth was held out: {measured}. "
        f"This version was then fitted on all data with the same parameters.{trained_by}"
    )
