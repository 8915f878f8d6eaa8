"""Fits the parts of a model: item factors by ALS, item-item weights by EASE, and recent popularity."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix

from dataflix_recommender import ItemItemWeights, ModelInfo, RecentPopularity, event_values, recent_values
from dataflix_recommender.baselines import Ease
from dataflix_trainer.model.als import Factors, fit_factors
from dataflix_trainer.model.hyperparameters import Hyperparameters

# Weights kept for each scored item; the cost of a list grows with them (docs/evaluation.md).
WEIGHTS_PER_ITEM = 100
# Items that fewer users liked have no item-item weights: 1, 2, 3 and 5 came out within one per cent.
MIN_ITEM_EVENTS = 3
# At most so many items have item-item weights: memory grows with the square of it, time with the cube.
MAX_ITEMS = 4_000
# Columns that each thread refits at a time: their systems of 100 equations take 20 MB, their weights 4 MB.
BLOCK_COLUMNS = 256


@dataclass(frozen=True, slots=True)
class FittedModel:
    """The outcome of a fit.

    Attributes:
        factors: of users and items.
        item_item_weights: the second part of the score.
        recent_popularity: the third, which is the same for all users.
        regularization: the ridge of ALS that was used.
        mean_events: events of an average user.
        matrix: float32[U, I], what was fitted on.
    """

    factors: Factors
    item_item_weights: ItemItemWeights
    recent_popularity: RecentPopularity
    regularization: float
    mean_events: float
    matrix: csr_matrix

    def to_model_info(self, info: ModelInfo, parameters: Hyperparameters) -> ModelInfo:
        """Return ``info`` with what serving needs to weigh users as this fit did."""
        return replace(
            info,
            regularization=self.regularization,
            activity_exponent=parameters.activity_exponent,
            mean_events=self.mean_events,
            item_item_slope=parameters.link_slope,
        )


def fit(
    matrix: csr_matrix,
    parameters: Hyperparameters,
    *,
    threads: int,
    times: NDArray[np.int64],
    start: Factors | None = None,
) -> FittedModel:
    """Fit all parts on ``matrix`` [U, I] of weights.

    The same matrix, parameters, threads, cores and ``start`` give the same bits.

    Args:
        matrix: float32[U, I].
        parameters: of all parts.
        threads: of ALS and of the refit of item-item weights.
        times: int64[nnz], microseconds since 1970 of the entries of ``matrix``.
        start: factors of nearly the same matrix with the same parameters; they save most iterations.

    Raises:
        DataError: there is nothing to learn from, or the factors are not finite.
    """
    ridge = parameters.ridge(matrix)
    counts = np.maximum(np.diff(matrix.indptr), 1)
    mean = float(matrix.nnz / max(1, np.count_nonzero(np.diff(matrix.indptr))))
    weighed = matrix
    if parameters.activity_exponent:
        weighed = _scale_rows(matrix, (counts / mean) ** -parameters.activity_exponent)
    factors = fit_factors(weighed, parameters, regularization=ridge, threads=threads, start=start)
    item_item = _fit_item_item(matrix, counts / mean, parameters, threads)
    recent = _fit_recent(matrix, times, parameters)
    return FittedModel(factors, item_item, recent, ridge, mean, matrix)


def _fit_recent(
    matrix: csr_matrix, times: NDArray[np.int64], parameters: Hyperparameters
) -> RecentPopularity:
    """Return the recent popularity of each item: of what people liked, and nothing without a weight."""
    if not (parameters.recent_weight or parameters.returning_weight):
        return RecentPopularity.empty(matrix.shape[1])
    liked = matrix.data > 0
    values = recent_values(
        matrix.indices[liked], times[liked], matrix.shape[1], half_life_days=parameters.recent_half_life_days
    )
    until = int(times.max(initial=0))
    return RecentPopularity(values, parameters.recent_weight, parameters.returning_weight, until)


def _fit_item_item(
    matrix: csr_matrix, activity: NDArray[np.float64], parameters: Hyperparameters, threads: int
) -> ItemItemWeights:
    """Fit a weighted EASE on ``matrix`` and keep the strongest of its weights.

    Args:
        matrix: float32[U, I].
        activity: float64[U], number of events of each user over the average.
        parameters: those whose names begin with ``link``.
        threads: of the refit.
    """
    if not parameters.link_weight:
        return ItemItemWeights.empty(matrix.shape[1])
    values = event_values(matrix.data, parameters.link_slope)
    # A copy: dropping zeros moves the indices, which would be those of ``matrix``.
    events = csr_matrix((values, matrix.indices, matrix.indptr), matrix.shape, copy=True)
    events.eliminate_zeros()
    eligible = int(np.count_nonzero(np.bincount(events.indices, minlength=1) >= MIN_ITEM_EVENTS))
    if eligible <= 1:
        return ItemItemWeights.empty(matrix.shape[1])
    # A user's share in X'X is the square of the scale of their row.
    events = _scale_rows(events, activity ** (-parameters.link_activity_exponent / 2))
    ease, system = Ease.fit_weighted(
        events,
        regularization=parameters.link_regularization,
        dropout=parameters.link_dropout,
        max_items=min(eligible, MAX_ITEMS),
        threads=threads,
    )
    strongest = _refit_strongest(ease, system, threads)
    values = (strongest.data * parameters.link_weight).astype(np.float32)
    shape = (matrix.shape[1], matrix.shape[1])
    weights = coo_matrix(
        (values, (ease.items[strongest.row], ease.items[strongest.col])), shape=shape
    ).tocsr()
    weights.eliminate_zeros()
    weights.sort_indices()
    return ItemItemWeights.from_matrix(weights, slope=parameters.link_slope)


def _scale_rows(matrix: csr_matrix, scales: NDArray[np.float64]) -> csr_matrix:
    """Return ``matrix`` with row ``u`` multiplied by ``scales[u]``."""
    # Shares the indices: a product of sparse matrices would copy and unsort them.
    values = matrix.data * np.repeat(scales.astype(np.float32), np.diff(matrix.indptr))
    return csr_matrix((values, matrix.indices, matrix.indptr), matrix.shape)


def _refit_strongest(ease: Ease, system: NDArray[np.floating], threads: int) -> coo_matrix:
    """Return [M, M], the WEIGHTS_PER_ITEM strongest weights of each column, refitted without the others.

    Without the refit, the kept weights would still leave room for the dropped ones. Each column is the ridge
    regression of its item on the kept items alone, which is EASE itself when all are kept (Steck, "Markov
    Random Fields for Collaborative Filtering", 2019).

    Args:
        ease: all weights.
        system: [M, M], the matrix whose inverse ``ease`` is made from.
        threads: that refit blocks of columns.
    """
    items = len(ease.items)
    kept = min(WEIGHTS_PER_ITEM, items - 1)

    def refit(start: int) -> tuple[NDArray[np.floating], NDArray[np.integer], NDArray[np.integer]]:
        # Transposed, so that the weights of an item are contiguous: several times as fast.
        strength = -np.abs(ease.weights[:, start : start + BLOCK_COLUMNS].T)
        columns = np.arange(start, start + len(strength))
        strength[columns - start, columns] = 1  # an item does not predict itself
        rows = np.argpartition(strength, kept - 1, axis=1)[:, :kept]
        systems = system[rows[:, :, None], rows[:, None, :]].astype(np.float64)
        values = np.linalg.solve(systems, system[rows, columns[:, None], None].astype(np.float64))[:, :, 0]
        return values.ravel(), rows.ravel(), np.broadcast_to(columns[:, None], rows.shape).ravel()

    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(refit, range(0, items, BLOCK_COLUMNS)))
    values, rows, columns = (np.concatenate(part) for part in zip(*parts, strict=True))
    return coo_matrix((values, (rows, columns)), shape=(items, items))
