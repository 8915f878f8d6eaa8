"""Fits what a model is made of: item factors by ALS, and the links between items."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix

from dataflix_recommender import ItemItemWeights, ModelInfo, event_values
from dataflix_recommender.baselines import Ease
from dataflix_trainer.model.als import Factors, Hyperparameters, fit_factors

# Links kept for each item that is scored; what a list costs grows with them. Fitted again, 50 and 100 are as
# good as all of them on latest-small. On invented ratings of the size of ml-1m 100 lose some 2 % of the sum
# of both parts against all, which would take thirty times the space.
LINKS_PER_ITEM = 100
# Films that fewer people liked have no links: on latest-small, 1, 2, 3 and 5 came out within one per cent of
# each other.
MIN_LINKED_EVENTS = 3
# Only the most liked films are linked: memory grows with the square of their number, time with its cube, and
# links of the others rest on few events. On latest-small, the latest fifth and two random splits, the best
# 2,500, 1,250 and 600 of the 3,687 that could be linked gave 0.994 to 1.005 times the NDCG@10 of all, and
# 0.989 to 1.008 times the recall@20. The matrix of 4,000 takes 64 MB, its inverse 6e10 operations; of 10,000
# it was 1e12.
MAX_LINKED_ITEMS = 4_000
# Columns thinned out at a time by each thread: their systems of 100 equations are 20 MB, their weights 4 MB.
BLOCK = 256


@dataclass(frozen=True, slots=True)
class Fitted:
    """The ``factors``, the ``links``, the ridge taken, and the events of an average user."""

    factors: Factors
    links: ItemItemWeights
    regularization: float
    mean_events: float

    def told(self, info: ModelInfo, parameters: Hyperparameters) -> ModelInfo:
        """Return ``info`` with what serving needs to weigh users as this fit did."""
        return replace(
            info,
            regularization=self.regularization,
            activity_exponent=parameters.activity_exponent,
            mean_events=self.mean_events,
            item_item_slope=parameters.link_slope,
        )


def fit(
    matrix: csr_matrix, parameters: Hyperparameters, *, threads: int, start: Factors | None = None
) -> Fitted:
    """Fit both parts on ``matrix`` [U, I] of weights; raises DataError.

    The same matrix, parameters, threads, cores and ``start`` give the same bits. ``start`` are the factors of
    a fit on nearly the same matrix, with the same parameters: it saves most of the iterations.
    """
    ridge = parameters.ridge(matrix)
    counts = np.maximum(np.diff(matrix.indptr), 1)
    mean = float(matrix.nnz / max(1, np.count_nonzero(np.diff(matrix.indptr))))
    weighed = matrix
    if parameters.activity_exponent:
        weighed = _scaled(matrix, (counts / mean) ** -parameters.activity_exponent)
    factors = fit_factors(weighed, parameters, regularization=ridge, threads=threads, start=start)
    return Fitted(factors, _links(matrix, counts / mean, parameters, threads), ridge, mean)


def _links(
    matrix: csr_matrix, activity: NDArray[np.float64], parameters: Hyperparameters, threads: int
) -> ItemItemWeights:
    """Fit a weighted EASE on ``matrix`` and keep the strongest of its weights.

    ``activity`` float64[U] is each user's number of events over the average.
    """
    if not parameters.link_weight:
        return ItemItemWeights.empty(matrix.shape[1])
    values = event_values(matrix.data, parameters.link_slope)
    # A copy: dropping zeros moves the indices, which would be the matrix's own.
    events = csr_matrix((values, matrix.indices, matrix.indptr), matrix.shape, copy=True)
    events.eliminate_zeros()
    linked = int(np.count_nonzero(np.bincount(events.indices, minlength=1) >= MIN_LINKED_EVENTS))
    if linked <= 1:
        return ItemItemWeights.empty(matrix.shape[1])
    # A user's share in X'X is the square of their row's scale.
    events = _scaled(events, activity ** (-parameters.link_activity_exponent / 2))
    ease, system = Ease.fit_weighted(
        events,
        regularization=parameters.link_regularization,
        max_items=min(linked, MAX_LINKED_ITEMS),
        threads=threads,
    )
    kept = _strongest(ease, system, threads)
    values = (kept.data * parameters.link_weight).astype(np.float32)
    shape = (matrix.shape[1], matrix.shape[1])
    links = coo_matrix((values, (ease.items[kept.row], ease.items[kept.col])), shape=shape).tocsr()
    links.eliminate_zeros()
    links.sort_indices()
    return ItemItemWeights.from_matrix(links, slope=parameters.link_slope)


def _scaled(matrix: csr_matrix, scales: NDArray[np.float64]) -> csr_matrix:
    """Return ``matrix`` with row ``u`` multiplied by ``scales[u]``."""
    # The places are shared: a product of sparse matrices would copy and unsort them.
    values = matrix.data * np.repeat(scales.astype(np.float32), np.diff(matrix.indptr))
    return csr_matrix((values, matrix.indices, matrix.indptr), matrix.shape)


def _strongest(ease: Ease, system: NDArray[np.floating], threads: int) -> coo_matrix:
    """Return [M, M], the LINKS_PER_ITEM strongest weights of each column, fitted again without the others.

    Left as they are, they would go on leaving room for those that were dropped; each column is the ridge
    regression of its item on the kept ones alone, which is what EASE itself is when all are kept (Steck,
    "Markov Random Fields for Collaborative Filtering", 2019). ``system`` [M, M] is the matrix whose inverse
    ``ease`` is made from.
    """
    items = len(ease.items)
    kept = min(LINKS_PER_ITEM, items - 1)

    def fitted(start: int) -> tuple[NDArray[np.floating], NDArray[np.integer], NDArray[np.integer]]:
        # Turned, so that each item's weights lie beside each other: several times as fast.
        strength = -np.abs(ease.weights[:, start : start + BLOCK].T)
        columns = np.arange(start, start + len(strength))
        strength[columns - start, columns] = 1  # an item says nothing of itself
        rows = np.argpartition(strength, kept - 1, axis=1)[:, :kept]
        among = system[rows[:, :, None], rows[:, None, :]].astype(np.float64)
        values = np.linalg.solve(among, system[rows, columns[:, None], None].astype(np.float64))[:, :, 0]
        return values.ravel(), rows.ravel(), np.broadcast_to(columns[:, None], rows.shape).ravel()

    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(fitted, range(0, items, BLOCK)))
    values, rows, columns = (np.concatenate(part) for part in zip(*parts, strict=True))
    return coo_matrix((values, (rows, columns)), shape=(items, items))
