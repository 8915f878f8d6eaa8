"""Ranking metrics for U users, vectorised.

Metrics of accuracy take ``hits`` bool[U, K], whether the item at each place of a user's list is one of the
user's held-out items (see ``hits_in``). Some also take ``relevant`` int64[U], how many items of each user are
held out. They return one value for each user, float64[U]; means and intervals are over users.

Coverage and Gini are one number for all lists. Their intervals come from drawing whole lists.

Lists are ranked over the full catalogue with the seen items masked. There are no sampled negatives.
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

OVERALL_SAMPLES = 200  # a standard error needs far fewer draws than quantiles
NORMAL_95 = 1.96  # standard errors to each side of a 95 % interval


def hits_in(ranked: NDArray[np.int64], targets: csr_matrix) -> Hits:
    """Return bool[U, K]: which places of ``ranked`` int64[U, K] hold a target of the row.

    Args:
        ranked: Positions of items, best first. NO_ITEM is never a hit.
        targets: [U, I]; each stored entry is a held-out item.
    """
    users, items = targets.shape
    # The index in the flattened matrix identifies user and item at once.
    cells = np.arange(users)[:, None] * items + ranked
    held_out = np.repeat(np.arange(users), np.diff(targets.indptr)) * items + targets.indices
    hits: Hits = np.isin(cells, held_out) & (ranked != NO_ITEM)
    return hits


def relevant_in(targets: csr_matrix) -> Counts:
    """Return int64[U], the number of held-out items of each row.

    Raises:
        ValueError: A row has none.
    """
    counts = np.asarray(np.diff(targets.indptr), dtype=np.int64)
    if np.any(counts == 0):
        raise ValueError("every evaluated user needs at least one held-out item")
    return counts


def ndcg_at_k(hits: Hits, relevant: Counts, k: int) -> PerUser:
    """Return the normalised discounted cumulative gain with binary relevance.

    The discount is 1 / log2(rank + 1). The ideal list has min(k, relevant) hits.
    """
    gains = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(gains)[np.minimum(relevant, k) - 1]
    found: PerUser = hits[:, :k] @ gains[: hits.shape[1]]
    return np.asarray(found / ideal, dtype=np.float64)


def recall_at_k(hits: Hits, relevant: Counts, k: int) -> PerUser:
    """Return hits / held-out items, at most k / relevant for a user with many."""
    return np.asarray(hits[:, :k].sum(axis=1) / relevant, dtype=np.float64)


def truncated_recall_at_k(hits: Hits, relevant: Counts, k: int) -> PerUser:
    """Return hits / min(k, held-out items), the convention of Liang et al. (Mult-VAE, 2018)."""
    return np.asarray(hits[:, :k].sum(axis=1) / np.minimum(relevant, k), dtype=np.float64)


def precision_at_k(hits: Hits, k: int) -> PerUser:
    """Return hits / k."""
    return np.asarray(hits[:, :k].sum(axis=1) / k, dtype=np.float64)


def average_precision_at_k(hits: Hits, relevant: Counts, k: int) -> PerUser:
    """Return the mean precision at the hits, over min(k, held-out items). The mean over users is MAP."""
    top = hits[:, :k]
    precisions = np.cumsum(top, axis=1) / np.arange(1, top.shape[1] + 1)
    return np.asarray((precisions * top).sum(axis=1) / np.minimum(relevant, k), dtype=np.float64)


def reciprocal_rank_at_k(hits: Hits, k: int) -> PerUser:
    """Return 1 / rank of the first hit, 0 without a hit. The mean over users is MRR."""
    top = hits[:, :k]
    # argmax is 0 for a row without a hit, too; any() makes it 0.
    return np.asarray(top.any(axis=1) / (np.argmax(top, axis=1) + 1), dtype=np.float64)


def hit_rate_at_k(hits: Hits, k: int) -> PerUser:
    """Return 1 for a list with at least one hit, else 0."""
    return np.asarray(hits[:, :k].any(axis=1), dtype=np.float64)


def novelty_at_k(ranked: NDArray[np.int64], counts: NDArray[np.int64], users: int, k: int) -> PerUser:
    """Return the mean self-information of the listed items, -log2 p(i), in bits.

    p(i) is the share of training users who took item i (Castells, Hurley, Vargas, "Novelty and Diversity in
    Recommender Systems", Recommender Systems Handbook, 2015). One is added to both counts, so that an item
    that nobody took has the finite value log2(users + 1). A list without items has 0.

    Args:
        ranked: int64[U, K], positions of items.
        counts: int64[I], how many training users took each item.
        users: The number of training users.
        k: The length of the lists.
    """
    information = np.append(np.log2(users + 1) - np.log2(counts + 1), 0.0)  # NO_ITEM is the last
    top = ranked[:, :k]
    filled = np.count_nonzero(top != NO_ITEM, axis=1)
    return np.asarray(information[top].sum(axis=1) / np.maximum(filled, 1), dtype=np.float64)


def diversity_at_k(ranked: NDArray[np.int64], vectors: NDArray[np.floating[Any]], k: int) -> PerUser:
    """Return the intra-list diversity: 1 - the mean cosine of all pairs of a list (Ziegler et al. 2005).

    An item whose vector is 0 is similar to no other. A list of fewer than two items has 0.

    Args:
        ranked: int64[U, K], positions of items.
        vectors: [I, D], what the items are compared by. Give the same to all models that are compared.
        k: The length of the lists.
    """
    norms = np.linalg.norm(vectors, axis=1)
    unit = vectors / np.where(norms > 0, norms, 1)[:, None]
    lists = _lists(ranked, len(vectors), k)
    length = np.asarray(lists.sum(axis=1)).ravel()
    # The squared length of a sum of unit vectors counts each pair twice, and each vector with itself once.
    with_itself = lists @ (norms > 0).astype(np.float64)
    pairs = np.square(lists @ unit.astype(np.float64)).sum(axis=1) - with_itself
    cosine = pairs / np.maximum(length * (length - 1), 1)
    return np.asarray(np.where(length > 1, 1 - cosine, 0), dtype=np.float64)


def coverage_at_k(ranked: NDArray[np.int64], n_items: int, k: int) -> float:
    """Return the share of the catalogue that is in the first k of at least one list."""
    return _coverage(_exposure(ranked, n_items, k))


def gini_at_k(ranked: NDArray[np.int64], n_items: int, k: int) -> float:
    """Return the Gini coefficient of how often each item of the catalogue is in a first k.

    It measures popularity bias (Fleder, Hosanagar 2009): 0 when all items are listed equally often, near 1
    when a few items take all places.
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
"""The metrics of all lists together, by name; each takes how often each item is listed, float64[I]."""


def overall_interval(
    name: str, ranked: NDArray[np.int64], n_items: int, k: int, *, seed: int
) -> tuple[float, float, float]:
    """Return (value, low, high) of ``coverage`` or ``gini`` at k: value -+ 1.96 bootstrap standard errors.

    A draw with replacement leaves out a third of the users, which lowers coverage in every draw. Quantiles of
    the draws would not even contain the value, so only their spread is used.
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

    For a paired comparison of two models, pass the differences on the same users.

    Args:
        values: float64[U].
        seed: The seed of the draws.
        samples: How often users are drawn with replacement. With 1,000 the bounds of a 95 % interval vary by
            a few per cent of its width.
        level: The level of the interval.
    """
    mean, low, high = bootstrap_intervals(values[:, None], seed=seed, samples=samples, level=level)
    return float(mean[0]), float(low[0]), float(high[0])


def bootstrap_intervals(
    values: NDArray[np.float64], *, seed: int, samples: int = 1000, level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the means, lows and highs float64[M] of the columns of ``values`` [U, M].

    It is ``bootstrap_interval`` for M metrics, which share the draws.

    Raises:
        ValueError: There is no user.
    """
    if len(values) == 0:
        raise ValueError("an interval needs at least one user")
    means = np.array([drawn @ values for drawn in _draws(len(values), seed, samples)]) / len(values)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return values.mean(axis=0), low, high


def _draws(users: int, seed: int, samples: int) -> Iterator[NDArray[np.float64]]:
    """Yield ``samples`` draws: how often each of ``users`` is drawn, float64[U]."""
    generator = np.random.default_rng(seed)
    for _ in range(samples):
        drawn = generator.integers(users, size=users)
        yield np.bincount(drawn, minlength=users).astype(np.float64)
