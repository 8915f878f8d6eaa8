"""Builds the model that serves, from training data and a fit."""

import logging
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dataflix_recommender import Model, ModelInfo
from dataflix_trainer.data.training_data import TrainingData
from dataflix_trainer.model.als import Factors
from dataflix_trainer.model.cold_start import factors_with_new_items
from dataflix_trainer.model.fit import FittedModel, fit
from dataflix_trainer.model.hyperparameters import Hyperparameters

log = logging.getLogger(__name__)


def fit_product_model(
    data: TrainingData,
    matrix: csr_matrix,
    times: NDArray[np.int64],
    parameters: Hyperparameters,
    *,
    threads: int,
) -> Model:
    """Fit on ``matrix`` [U, I] with the ``times`` of its entries, a part of the data, as a training does.

    Raises:
        DataError: there is nothing to learn from, or the factors are not finite.
    """
    fitted = fit_logged(matrix, times, parameters, threads)
    return build_model(data, fitted, parameters, model_info(data, parameters))


def fit_logged(
    matrix: csr_matrix,
    times: NDArray[np.int64],
    parameters: Hyperparameters,
    threads: int,
    start: Factors | None = None,
) -> FittedModel:
    """Fit as ``fit`` does, and log it."""
    fitted = fit(matrix, parameters, threads=threads, times=times, start=start)
    log.info(
        "event=fitted interactions=%d factors=%d regularization=%.3f item_item_weights=%d",
        *(matrix.nnz, parameters.factors, fitted.regularization, fitted.item_item_weights.matrix.nnz),
    )
    return fitted


def model_info(
    data: TrainingData,
    parameters: Hyperparameters,
    *,
    dbt_manifest_sha256: str = "",
    trained_at: datetime | None = None,
) -> ModelInfo:
    """Return what a model records about its data and parameters; trained now unless a time is given."""
    interactions = data.interactions
    return ModelInfo(
        trained_at=trained_at or datetime.now(UTC),
        factors=parameters.factors,
        regularization=parameters.ridge(interactions.matrix),
        alpha=parameters.alpha,
        iterations=parameters.iterations,
        seed=parameters.seed,
        n_users=len(interactions.user_ids),
        n_items=len(interactions.item_ids),
        n_interactions=interactions.count,
        dataset=data.identity(),
        dbt_manifest_sha256=dbt_manifest_sha256,
        source=data.source,
    )


def build_model(
    data: TrainingData, fitted: FittedModel, parameters: Hyperparameters, info: ModelInfo
) -> Model:
    """Return the model of a fit on all or a part of ``data``; items without events there count as new."""
    factors = fitted.factors.items
    if data.features is not None:
        factors = factors_with_new_items(fitted, data.features)
    return Model(
        fitted.to_model_info(info, parameters),
        data.interactions.item_ids,
        factors,
        data.catalogue,
        data.weights,
        item_item_weights=fitted.item_item_weights,
        recent_popularity=fitted.recent_popularity,
    )
