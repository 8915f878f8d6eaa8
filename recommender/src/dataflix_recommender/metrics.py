"""Ranking metrics over whole users, vectorised.

Every metric of accuracy takes ``hits``, bool[U, K]: whether the item at each place of a user's ranked list is
one of the user's held-out ones (see ``hits_in``), and where it needs it ``relevant``, int[U]: how many items
were held out. Lists are ranked over the full catalogue with the seen items masked; there are no sampled
negatives. Each returns float64[U]; averages and intervals are taken over users. What is asked of all lists
together (coverage, Gini) is one number, and its interval comes from drawing whole lists.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dataflix_recommender.algorithms.top_k import NO_ITEM

Hits = NDArray[np.bool_]
PerUser = NDArray[np.float64]
Counts = NDArray[np.int64]

OVERALL_SAMPLES = 200  # a standard error settles far sooner than quantiles do
NORMAL_95 = 1.96  # standard errors to each side of a 95 % interval


def hits_in(ranked: NDArray[np.int64], targets: csr_matrix) -> Hits:
    """Return bool[U, K]: which places of ``ranked`` int64[U, K] hold a target of the row.

    ``targets`` is a [U, I] matrix whose stored entries are the held-out items. Places that hold NO_ITEM miss.
    """
    users, items = targets.shape
    # A cell's number in the flattened matrix stands for user and item at once.
    cells = np.arange(users)[:, None] * items + ranked
    held_out = np.repeat(np.arange(users), np.diff(targets.indptr)) * items + targets.indices
    hits: Hits = np.isin(cells, held_out) & (ranked != NO_ITEM)
    return hits


def relevant_in(targets: csr_matrix) -> Counts:
    """Return int64[U], the number of held-out items of each row; raises ValueError when a row has none."""
    counts = np.asarray(np.diff(targets.indptr), dtype=np.int64)
    if np.any(counts == 0):
        raise ValueError("every evaluated user needs at least one held-out item")
    return counts


def ndcg_at_k(hits: Hits, relevant: Counts, k: int) -> PerUser:
    """Binary normalised discounted cumulative gain, discount 1/log2(rank + 1), ideal of min(k, relevant)."""
    gains = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(gains)[np.minimum(relevant, k) - 1]
    found: PerUser = hits[:, :k] @ gains[: hits.shape[1]]
    return np.asarray(found / ideal, dtype=np.float64)


def recall_at_k(hits: Hits, relevant: Counts, k: int) -> PerUser:
    """Hits divided by the number of held-out items: at most k/relevant for users with many."""
    return np.asarray(hits[:, :k].sum(axis=1) / relevant, dtype=np.float64)


def truncated_recall_at_k(hits: Hits, relevant: Counts, k: int) -> PerUser:
    """Hits divided by min(k, held-out items), the convention of Liang et al. (Mult-VAE, 2018)."""
    return np.asarray(hits[:, :k].sum(axis=1) / np.minimum(relevant, k), dtype=np.float64)


def precision_at_k(hits: Hits, k: int) -> PerUser:
    """Hits divided by k."""
    return np.asarray(hits[:, :k].sum(axis=1) / k, dtype=np.float64)


def average_precision_at_k(hits: Hits, relevant: Counts, k: int) -> PerUser:
    """Precision at each hit, averaged over min(k, held-out items); its mean over users is MAP."""
    top = hits[:, :k]
    precisions = np.cumsum(top, axis=1) / np.arange(1, top.shape[1] + 1)
    return np.asarray((precisions * top).sum(axis=1) / np.minimum(relevant, k), dtype=np.float64)


def reciprocal_rank_at_k(hits: Hits, k: int) -> PerUser:
    """One divided by the rank of the first hit, 0 without one; its mean over users is MRR."""
    top = hits[:, :k]
    # argmax is 0 for a row without a hit: any() takes that first place back.
    return np.asarray(top.any(axis=1) / (np.argmax(top, axis=1) + 1), dtype=np.float64)


def hit_rate_at_k(hits: Hits, k: int) -> PerUser:
    """1 where the list has at least one hit, else 0."""
    return np.asarray(hits[:, :k].any(axis=1), dtype=np.float64)


def novelty_at_k(ranked: NDArray[np.int64], counts: NDArray[np.int64], users: int, k: int) -> PerUser:
    """Mean self-information of the listed items, -log2 p(i), in bits.

    Castells, Hurley, Vargas, "Novelty and Diversity in Recommender Systems" (Recommender Systems Handbook,
    2015): p(i) is the share of training users who took item i; ``counts`` int64[I] says how many of ``users``
    did. One is added to both, so that an item nobody took has the finite surprise log2(users + 1). A list
    without items has 0.
    """
    information = np.append(np.log2(users + 1) - np.log2(counts + 1), 0.0)  # the last is NO_ITEM's
    top = ranked[:, :k]
    filled = np.count_nonzero(top != NO_ITEM, axis=1)
    return np.asarray(information[top].sum(axis=1) / np.maximum(filled, 1), dtype=np.float64)


def diversity_at_k(ranked: NDArray[np.int64], vectors: NDArray[np.floating[Any]], k: int) -> PerUser:
    """Intra-list diversity: 1 - the mean cosine over all pairs of a list (Ziegler et al. 2005).

    ``vectors`` [I, D] describe the items: genres or factors, the caller says which, and gives the same ones
    to all models that are compared. An item whose vector is zero is like no other. A list of fewer than two
    items has 0.
    """
    norms = np.linalg.norm(vectors, axis=1)
    unit = vectors / np.where(norms > 0, norms, 1)[:, None]
    lists = _lists(ranked, len(vectors), k)
    length = np.asarray(lists.sum(axis=1)).ravel()
    # The squared length of a sum of unit vectors holds every pair twice, and each vector with itself.
    with_itself = lists @ (norms > 0).astype(np.float64)
    pairs = np.square(lists @ unit.astype(np.float64)).sum(axis=1) - with_itself
    cosine = pairs / np.maximum(length * (length - 1), 1)
    return np.asarray(np.where(length > 1, 1 - cosine, 0), dtype=np.float64)


def coverage_at_k(ranked: NDArray[np.int64], n_items: int, k: int) -> float:
    """Share of the catalogue that is in at least one user's first k."""
    return _coverage(_exposure(ranked, n_items, k))


def gini_at_k(ranked: NDArray[np.int64], n_items: int, k: int) -> float:
    """Popularity bias: the Gini coefficient of how often each item of the catalogue is listed in a first k.

    0 when all items are shown equally often, near 1 when a few take all places (Fleder, Hosanagar 2009).
    """
    return _gini(_exposure(ranked, n_items, k))


def _lists(ranked: NDArray[np.int64], n_items: int, k: int) -> csr_matrix:
    """Return [U, n_items] with a 1 for every item in the first k of a row."""
    top = ranked[:, :k]
    rows, places = np.nonzero(top != NO_ITEM)
    shape = (len(ranked), n_items)
    return csr_matrix((np.ones(len(rows)), (rows, top[rows, places])), shape=shape)


def _exposure(ranked: NDArray[np.int64], n_items: int, k: int) -> NDArray[np.float64]:
    top = ranked[:, :k]
    return np.bincount(top[top != NO_ITEM], minlength=n_items).astype(np.float64)


def _coverage(exposure: NDArray[np.float64]) -> float:
    return float(np.count_nonzero(exposure) / len(exposure))


def _gini(exposure: NDArray[np.float64]) -> float:
    total, items = exposure.sum(), len(exposure)
    if total == 0:
        return 0.0
    ranks = np.arange(1, items + 1)
    return float(2 * (ranks @ np.sort(exposure)) / (items * total) - (items + 1) / items)


OVERALL: dict[str, Callable[[NDArray[np.float64]], float]] = {"coverage": _coverage, "gini": _gini}
"""What is computed from the exposure float64[I] of all lists together, by name."""


def overall_interval(
    name: str, ranked: NDArray[np.int64], n_items: int, k: int, *, seed: int
) -> tuple[float, float, float]:
    """Return (value, low, high) of ``coverage`` or ``gini`` at k: value -+ 1.96 bootstrap standard errors.

    Drawing users with replacement leaves a third of them out, which lowers coverage in every draw: the
    draws' own quantiles would lie beside the value. Their spread is what is used.
    """
    statistic = OVERALL[name]
    value = statistic(_exposure(ranked, n_items, k))
    by_item = _lists(ranked, n_items, k).T.tocsr()
    draws = _draws(len(ranked), seed, OVERALL_SAMPLES)
    error = float(np.std([statistic(by_item @ drawn) for drawn in draws]))
    return value, max(0.0, value - NORMAL_95 * error), min(1.0, value + NORMAL_95 * error)


def bootstrap_interval(
    values: PerUser, *, seed: int, samples: int = 1000, level: float = 0.95
) -> tuple[float, float, float]:
    """Return (mean, low, high): the mean over users and its percentile bootstrap interval.

    Give differences of two models on the same users for a paired comparison. Users are drawn with
    replacement ``samples`` times; 1,000 settles the bounds of a 95 % interval to a few per cent of its width.
    """
    mean, low, high = bootstrap_intervals(values[:, None], seed=seed, samples=samples, level=level)
    return float(mean[0]), float(low[0]), float(high[0])


def bootstrap_intervals(
    values: NDArray[np.float64], *, seed: int, samples: int = 1000, level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the means, lows and highs float64[M] of the columns of ``values`` [U, M], as above.

    All columns share the draws: one pass over the users serves every metric.
    """
    if len(values) == 0:
        raise ValueError("an interval needs at least one user")
    means = np.array([drawn @ values for drawn in _draws(len(values), seed, samples)]) / len(values)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return values.mean(axis=0), low, high


def _draws(users: int, seed: int, samples: int) -> Iterator[NDArray[np.float64]]:
    """Yield ``samples`` times how often each of ``users`` is drawn, float64[U]."""
    generator = np.random.default_rng(seed)
    for _ in range(samples):
        drawn = generator.integers(users, size=users)
        yield np.bincount(drawn, minlength=users).astype(np.float64)
