"""Ranking metrics over whole users, vectorised.

Every metric of accuracy takes ``hits``, bool[U, K]: whether the item at each place of a user's ranked list is
one of the user's held-out ones (see ``hits_in``), and where it needs it ``relevant``, int[U]: how many items
were held out. Lists are ranked over the full catalogue with the seen items masked; there are no sampled
negatives. Each returns float64[U]; averages and intervals are taken over users.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Hits = NDArray[np.bool_]
PerUser = NDArray[np.float64]
Counts = NDArray[np.int64]

NO_ITEM = -1  # fills a ranked list that has fewer than K items


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


def coverage_at_k(ranked: NDArray[np.int64], n_items: int, k: int) -> float:
    """Share of the catalogue that is in at least one user's first k."""
    shown = np.unique(ranked[:, :k])
    return float(np.count_nonzero(shown != NO_ITEM) / n_items)


def bootstrap_interval(
    values: PerUser, *, seed: int, samples: int = 1000, level: float = 0.95
) -> tuple[float, float, float]:
    """Return (mean, low, high): the mean over users and its percentile bootstrap interval.

    Give differences of two models on the same users for a paired comparison. Users are drawn with
    replacement ``samples`` times; 1,000 settles the bounds of a 95 % interval to a few per cent of its width.
    """
    if len(values) == 0:
        raise ValueError("an interval needs at least one user")
    generator = np.random.default_rng(seed)
    means = np.array(
        [values[generator.integers(len(values), size=len(values))].mean() for _ in range(samples)]
    )
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(values.mean()), float(low), float(high)
