"""One training: read, split, fit, evaluate, fit again on everything, log and register."""

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from scipy.sparse import csr_matrix

from dataflix_recommender import ConfidenceWeights, ItemCatalogue, Model, ModelInfo
from dataflix_trainer.data.holdout import latest_events
from dataflix_trainer.data.interactions import Interactions
from dataflix_trainer.data.warehouse import Warehouse
from dataflix_trainer.evaluation.holdout_evaluation import (
    MAIN_METRIC,
    Evaluation,
    evaluate_model,
    evaluate_popularity,
)
from dataflix_trainer.model.als import DEFAULT_SEED, Factors, Hyperparameters, cold_iterations
from dataflix_trainer.model.fit import Fitted, fit
from dataflix_trainer.promotion.rule import BOOTSTRAP_SEED
from dataflix_trainer.registry.registry import Registry
from dataflix_trainer.registry.training_run import TrainedModel, log_and_register
from dataflix_trainer.registry.tuning_runs import GIVEN, choose_parameters

log = logging.getLogger(__name__)

MATRIX_TABLE = "analytics.user_item_matrix"
# Of the split, not of the fit: every version is judged on the same one.
HOLDOUT_SEED = DEFAULT_SEED


@dataclass(frozen=True, slots=True)
class Origin:
    """What set a training off; empty where nothing did."""

    airflow_run_id: str = ""
    airflow_run_url: str = ""
    dbt_manifest_sha256: str = ""
    job_id: str = ""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What the warehouse gives to a training."""

    interactions: Interactions
    catalogue: ItemCatalogue
    weights: ConfidenceWeights

    @classmethod
    def read(cls, warehouse: Warehouse) -> "TrainingData":
        """Read all three; raises DataError, ServiceUnavailableError."""
        item_ids, catalogue = warehouse.catalogue()
        weights = warehouse.confidence_weights()
        interactions = warehouse.interactions(item_ids)
        log.info(
            "event=read users=%d films=%d interactions=%d",
            *(*interactions.matrix.shape, interactions.count),
        )
        return cls(interactions, catalogue, weights)


def train(
    warehouse: Warehouse,
    registry: Registry,
    given: Mapping[str, Any],
    origin: Origin,
    *,
    threads: int,
) -> dict[str, Any]:
    """Train and register one version; return ``mlflow_run_id``, ``model_version`` and ``metrics``.

    Parameters are those ``given``, else those of the latest tuning, else the defaults; the run says which.
    Raises DataError, ServiceUnavailableError.
    """
    registry.check_storage()
    parameters, chosen_by = choose_parameters(registry, given)
    log.info("event=parameters chosen_by=%r %s", chosen_by, parameters)
    data = TrainingData.read(warehouse)
    trained = fit_and_evaluate(data, parameters, origin, threads=threads, chosen_by=chosen_by)
    version = log_and_register(registry, trained, _description(trained.model.info, origin))
    log.info("event=registered version=%s run_id=%s", version.number, version.run_id)
    return {
        "mlflow_run_id": version.run_id,
        "model_version": version.number,
        "metrics": trained.model.info.metrics,
    }


def fit_and_evaluate(
    data: TrainingData, parameters: Hyperparameters, origin: Origin, *, threads: int, chosen_by: str = GIVEN
) -> TrainedModel:
    """Fit without the held-out events and measure; then fit the model that serves on everything.

    Both fits have the same parameters; a regularisation that is scaled to the data is scaled to each. The
    second goes on from the factors of the first, and has had all the iterations at its end.
    """
    interactions = data.interactions
    info = _info(data, parameters, origin)
    holdout = latest_events(interactions, seed=HOLDOUT_SEED)
    before = replace(parameters, iterations=cold_iterations(parameters))
    first = _fit(holdout.train, before, threads)
    evaluated = _model(data, first, before, replace(info, iterations=before.iterations))
    with ThreadPoolExecutor(1, thread_name_prefix="popularity") as pool:
        popularity = pool.submit(evaluate_popularity, holdout)
        evaluation = evaluate_model(evaluated, holdout)
        measured = _measured(evaluation, popularity.result())
    log.info("event=evaluated users=%d %s", evaluation.users, in_short(measured))
    final = _fit(interactions.matrix, parameters, threads, start=first.factors)
    model = _model(data, final, parameters, info.with_metrics(measured))
    params = asdict(parameters) | {
        "regularization": model.info.regularization,
        "regularization_evaluated": evaluated.info.regularization,
        "iterations_evaluated": before.iterations,
        "parameters_chosen_by": chosen_by,
        "threads": threads,
        "holdout_seed": HOLDOUT_SEED,
        "evaluated_users": evaluation.users,
        "n_users": info.n_users,
        "n_items": info.n_items,
        "n_interactions": info.n_interactions,
    }
    tags = {name: value for name, value in asdict(origin).items() if value}
    return TrainedModel(model, evaluated, params, tags | {"dataset_sha256": info.dataset["sha256"]})


def fit_on(data: TrainingData, matrix: csr_matrix, parameters: Hyperparameters, *, threads: int) -> Model:
    """Fit on ``matrix`` [U, I], a part of the data, as a training would; raises DataError."""
    fitted = _fit(matrix, parameters, threads)
    return _model(data, fitted, parameters, _info(data, parameters, Origin()))


def _info(data: TrainingData, parameters: Hyperparameters, origin: Origin) -> ModelInfo:
    interactions = data.interactions
    return ModelInfo(
        trained_at=datetime.now(UTC),
        factors=parameters.factors,
        regularization=parameters.ridge(interactions.matrix),
        alpha=parameters.alpha,
        iterations=parameters.iterations,
        seed=parameters.seed,
        n_users=len(interactions.user_ids),
        n_items=len(interactions.item_ids),
        n_interactions=interactions.count,
        dataset=_identity(interactions),
        dbt_manifest_sha256=origin.dbt_manifest_sha256,
    )


def _fit(
    matrix: csr_matrix, parameters: Hyperparameters, threads: int, start: Factors | None = None
) -> Fitted:
    fitted = fit(matrix, parameters, threads=threads, start=start)
    log.info(
        "event=fitted interactions=%d factors=%d regularization=%.3f links=%d",
        *(matrix.nnz, parameters.factors, fitted.regularization, fitted.links.matrix.nnz),
    )
    return fitted


def _model(data: TrainingData, fitted: Fitted, parameters: Hyperparameters, info: ModelInfo) -> Model:
    return Model(
        fitted.told(info, parameters),
        data.interactions.item_ids,
        fitted.factors.items,
        data.catalogue,
        data.weights,
        item_item_weights=fitted.links,
    )


def _identity(interactions: Interactions) -> dict[str, Any]:
    latest = datetime.fromtimestamp(int(interactions.times.max()) / 1e6, UTC)
    return {
        "name": MATRIX_TABLE,
        "sha256": interactions.digest(),
        "interactions": interactions.count,
        "latest_event_at": latest.isoformat(),
    }


def _measured(evaluation: Evaluation, popularity: Evaluation) -> dict[str, float]:
    """Return the metrics that stand on the model: its own, popularity's, and the main one's interval."""
    if evaluation.users == 0:
        return {}
    _, low, high = evaluation.interval(MAIN_METRIC, seed=BOOTSTRAP_SEED)
    baseline = {f"popularity_{name}": value for name, value in popularity.means().items()}
    return evaluation.means() | baseline | {f"{MAIN_METRIC}_low": low, f"{MAIN_METRIC}_high": high}


def in_short(measured: Mapping[str, float]) -> str:
    """Return the leading metrics as ``name=value``; empty when nothing was measured."""
    shown = (MAIN_METRIC, f"popularity_{MAIN_METRIC}", "recall@10", "coverage@10")
    return " ".join(f"{name}={measured[name]:.4f}" for name in shown if name in measured)


def _description(info: ModelInfo, origin: Origin) -> str:
    """Return what MLflow's page says of a version, in Markdown: a tag is no link there."""
    run = origin.airflow_run_id or "the run"
    trained_by = (
        f"\n\nTrained by Airflow: [`{run}`]({origin.airflow_run_url})." if origin.airflow_run_url else ""
    )
    measured = in_short(info.metrics) or "not evaluated: too few events per user"
    return (
        f"Implicit ALS, {info.factors} factors, on {info.n_interactions:,} interactions of {info.n_users:,} "
        f"users with {info.n_items:,} films. Each user's latest fifth held out: {measured}. "
        f"This version was then fitted on everything with the same parameters.{trained_by}"
    )
