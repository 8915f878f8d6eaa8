"""Fits what a model is made of: item factors by ALS, and the links between items."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix

from dataflix_recommender import ItemLinks, ModelInfo
from dataflix_recommender.baselines import Ease
from dataflix_recommender.links import event_values
from dataflix_trainer.als import Factors, Hyperparameters, fit_factors

# Links kept for each item that is scored; what a list costs grows with them. On latest-small 25, 50 and 100
# came out within 1.5 % of each other, in no order: NDCG@10 and recall@20, latest fifth and two random splits.
LINKS_PER_ITEM = 50
# Films that fewer people liked have no links: on latest-small, 1, 2, 3 and 5 came out within one per cent of
# each other.
MIN_LINKED_EVENTS = 3
# Only the most liked films are linked: memory grows with the square of their number, time with its cube, and
# links of the others rest on few events. On the same splits the best 2,500, 1,250 and 600 of the 3,687 that
# could be linked gave 0.994 to 1.005 times the NDCG@10 of all, and 0.989 to 1.008 times the recall@20. The
# matrix of 4,000 takes 64 MB, its inverse 6e10 operations; of 10,000 it was 1e12.
MAX_LINKED_ITEMS = 4_000
# Columns thinned out at a time: 4,000 rows of them are 8 MB.
BLOCK = 512


@dataclass(frozen=True, slots=True)
class Fitted:
    """The ``factors``, the ``links``, the ridge taken, and the events of an average user."""

    factors: Factors
    links: ItemLinks
    regularization: float
    mean_events: float

    def told(self, info: ModelInfo, parameters: Hyperparameters) -> ModelInfo:
        """Return ``info`` with what serving needs to weigh users as this fit did."""
        return replace(
            info,
            regularization=self.regularization,
            activity_exponent=parameters.activity_exponent,
            mean_events=self.mean_events,
            link_slope=parameters.link_slope,
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
    return Fitted(factors, _links(matrix, counts / mean, parameters), ridge, mean)


def _links(matrix: csr_matrix, activity: NDArray[np.float64], parameters: Hyperparameters) -> ItemLinks:
    """Fit a weighted EASE on ``matrix`` and keep the strongest of its weights.

    ``activity`` float64[U] is each user's number of events over the average.
    """
    if not parameters.link_weight:
        return ItemLinks.none(matrix.shape[1])
    values = event_values(matrix.data, parameters.link_slope)
    # A copy: dropping zeros moves the indices, which would be the matrix's own.
    events = csr_matrix((values, matrix.indices, matrix.indptr), matrix.shape, copy=True)
    events.eliminate_zeros()
    linked = int(np.count_nonzero(np.bincount(events.indices, minlength=1) >= MIN_LINKED_EVENTS))
    if linked == 0:
        return ItemLinks.none(matrix.shape[1])
    # A user's share in X'X is the square of their row's scale.
    events = _scaled(events, activity ** (-parameters.link_activity_exponent / 2))
    ease = Ease.fit_weighted(
        events, regularization=parameters.link_regularization, max_items=min(linked, MAX_LINKED_ITEMS)
    )
    return ItemLinks.of(
        _strongest(ease, matrix.shape[1], parameters.link_weight), slope=parameters.link_slope
    )


def _scaled(matrix: csr_matrix, scales: NDArray[np.float64]) -> csr_matrix:
    """Return ``matrix`` with row ``u`` multiplied by ``scales[u]``."""
    # The places are shared: a product of sparse matrices would copy and unsort them.
    values = matrix.data * np.repeat(scales.astype(np.float32), np.diff(matrix.indptr))
    return csr_matrix((values, matrix.indices, matrix.indptr), matrix.shape)


def _strongest(ease: Ease, size: int, weight: float) -> csr_matrix:
    """Return [size, size] with the LINKS_PER_ITEM largest weights of each column, times ``weight``."""
    items = len(ease.items)
    kept = min(LINKS_PER_ITEM, items)
    parts = []
    for start in range(0, items, BLOCK):
        # Turned, so that each item's weights lie beside each other: several times as fast.
        scored = np.ascontiguousarray(ease.weights[:, start : start + BLOCK].T)
        rows = np.argpartition(-np.abs(scored), kept - 1, axis=1)[:, :kept]
        values = np.take_along_axis(scored, rows, axis=1) * np.float32(weight)
        targets = np.broadcast_to(np.arange(start, start + len(scored))[:, None], rows.shape)
        parts.append((values.ravel(), ease.items[rows.ravel()], ease.items[targets.ravel()]))
    values, rows, targets = (np.concatenate(column) for column in zip(*parts, strict=True))
    links = coo_matrix((values, (rows, targets)), shape=(size, size)).tocsr()
    links.eliminate_zeros()
    links.sort_indices()
    return csr_matrix(links)
