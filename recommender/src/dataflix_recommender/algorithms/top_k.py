"""Exact selection of the k highest scores. Every selection in this package is made by this module.

Equal scores are always in the order of their positions, so a list is the same on every machine.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

NO_ITEM = -1  # fills the row of a user who has fewer than k items

Lists = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Positions int64[U, k], best first, NO_ITEM where a row has fewer; and scores float32[U, k], 0 there."""

# A lower bound of the k-th highest score: lay the scores out in this many rows and take the k-th highest of
# the columns' maxima. It takes one pass, and few more than k scores reach it.
_BOUND_ROWS = 64
# With fewer columns for each place of a list, too many scores reach the bound.
_COLUMNS_PER_PLACE = 4


def top_k(
    scores: NDArray[np.floating[Any]], k: int, allowed: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Return the positions int64[min(k, allowed)] of the highest scores, best first.

    Args:
        scores: float[I], finite.
        k: The length of the list.
        allowed: bool[I], which positions may be in the list; None allows all.

    Raises:
        ValueError: ``k`` is less than 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    return top_k_masked(scores if allowed is None else np.where(allowed, scores, np.float32(-np.inf)), k)


def top_k_masked(scores: NDArray[np.floating[Any]], k: int) -> NDArray[np.int64]:
    """Return the positions of the k highest ``scores`` float[I], best first; -inf is never in the list."""
    columns = len(scores) // _BOUND_ROWS
    among = scores
    if columns >= k * _COLUMNS_PER_PLACE:
        among = scores[: columns * _BOUND_ROWS].reshape(_BOUND_ROWS, columns).max(axis=0)
    if k < len(among):
        best = np.flatnonzero(scores >= np.partition(among, len(among) - k)[len(among) - k])
    else:
        best = np.arange(len(scores))
    # A stable sort keeps the order of positions among equal scores, those at the bound included.
    best = best[np.argsort(-scores[best], kind="stable")][:k]
    return best[scores[best] > -np.inf]


def top_k_by_value(
    values: NDArray[np.float64], scores: NDArray[np.float32], k: int, allowed: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return the positions int64[min(k, allowed)] of the highest ``values``, best first.

    Equal values are ordered by score, then by position.

    Args:
        values: float64[I], what the list is ordered by.
        scores: float32[I], what decides between equal values.
        k: The length of the list.
        allowed: bool[I], which positions may be in the list.
    """
    candidates = np.flatnonzero(allowed)
    k = min(k, len(candidates))
    if k == 0:
        return np.empty(0, dtype=np.int64)
    among = values[candidates]
    threshold = np.partition(among, len(among) - k)[len(among) - k]
    best: NDArray[np.int64] = candidates[among >= threshold]
    return best[np.lexsort((-scores[best], -values[best]))][:k]


def top_k_columns(values: NDArray[np.float64], k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the columns int64[T, m] and values float64[T, m] of the m = min(k, P) highest of each row.

    For a small k: one pass over ``values`` float64[T, P] for each place is faster than sorting.
    """
    remaining = values.copy()
    rows = np.arange(len(values))
    columns = np.empty((len(values), min(k, values.shape[1])), dtype=np.int64)
    for place in range(columns.shape[1]):
        columns[:, place] = remaining.argmax(axis=1)
        remaining[rows, columns[:, place]] = -np.inf
    return columns, np.take_along_axis(values, columns, axis=1)


def top_k_column_sets(values: NDArray[np.floating[Any]], k: int) -> NDArray[np.int64]:
    """Return the columns int64[T, min(k, I)] of the highest values of each row [T, I], ascending.

    For a large k whose order does not matter. Among equal values at the bound any may be taken.
    """
    columns = values.shape[1]
    k = min(k, columns)
    return np.sort(np.argpartition(values, columns - k, axis=1)[:, columns - k :], axis=1)


def top_k_rows(scores: NDArray[np.float32], seen: csr_matrix, k: int) -> Lists:
    """Return the k highest of each row of ``scores``, without the items that the user has seen.

    Args:
        scores: float32[U, I].
        seen: [U, I]; each stored entry is an item that the user has seen.
        k: The length of a list.
    """
    users = scores.shape[0]
    values = np.array(scores, dtype=np.float32)
    values[np.repeat(np.arange(users), np.diff(seen.indptr)), seen.indices] = -np.inf
    owners, items = reaching(values, row_thresholds(values, k)[:, None])
    return top_k_grouped(users, k, owners, items, values[owners, items])


def row_thresholds(scores: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """Return float32[B], a bound that at least k of each row of ``scores`` [B, I] reach.

    A row with fewer than k scores above -inf has the lowest finite number as its bound.
    """
    users, items = scores.shape
    lowest = np.finfo(np.float32).min
    depth = items // (k * _COLUMNS_PER_PLACE)
    maxima = scores
    if depth > 1:
        columns = items // depth
        maxima = scores[:, : depth * columns].reshape(users, depth, columns).max(axis=1)
    last = maxima.shape[1] - k
    if last <= 0:
        return np.full(users, lowest)
    thresholds: NDArray[np.float32] = np.maximum(np.partition(maxima, last, axis=1)[:, last], lowest)
    return thresholds


def reaching(
    scores: NDArray[np.float32], thresholds: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows and columns of the ``scores`` [B, I] that are at least ``thresholds`` [B, 1]."""
    # By the index in the flat array: np.nonzero of two dimensions takes ten times as long.
    return np.divmod(np.flatnonzero(scores >= thresholds), scores.shape[1])


def top_k_grouped(
    users: int, k: int, owners: NDArray[np.int64], items: NDArray[np.int64], scores: NDArray[np.float32]
) -> Lists:
    """Return the k highest of each user's candidates, given as one row for each user and item.

    Args:
        users: The number of users U.
        k: The length of a list.
        owners: int64[n], the user of each candidate.
        items: int64[n], the position of each candidate.
        scores: float32[n], the score of each candidate.
    """
    order = np.lexsort((items, -scores, owners))
    owners, items, scores = owners[order], items[order], scores[order]
    ranks = np.arange(len(owners)) - np.searchsorted(owners, np.arange(users))[owners]
    listed = ranks < k
    ranked = np.full((users, k), NO_ITEM, dtype=np.int64)
    best_scores = np.zeros((users, k), dtype=np.float32)
    ranked[owners[listed], ranks[listed]] = items[listed]
    best_scores[owners[listed], ranks[listed]] = scores[listed]
    return ranked, best_scores
