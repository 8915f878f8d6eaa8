"""Exact top-k over a whole catalogue."""

import numpy as np
from numpy.typing import NDArray

# The k-th highest of all scores is at least the k-th highest of the columns' maxima, when the scores are laid
# out in this many rows: a bound that takes one pass, and that few more than k scores reach.
_ROWS = 64
# With fewer columns for each place of the list, the bound leaves too many.
_COLUMNS_PER_PLACE = 4


def top_k(scores: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """Return the positions of the ``min(k, allowed)`` highest scores, best first.

    ``scores`` float32[I] must be finite; ``allowed`` bool[I] removes the False ones (None allows all). Equal
    scores are ordered by position, so the answer is the same on every machine.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    return highest(scores if allowed is None else np.where(allowed, scores, np.float32(-np.inf)), k)


def highest(values: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Return the positions of the k highest of ``values`` float32[I] as ``top_k``, -inf never among them."""
    columns = len(values) // _ROWS
    among = values
    if columns >= k * _COLUMNS_PER_PLACE:
        among = values[: columns * _ROWS].reshape(_ROWS, columns).max(axis=0)
    if k < len(among):
        best = np.flatnonzero(values >= np.partition(among, len(among) - k)[len(among) - k])
    else:
        best = np.arange(len(values))
    # A stable sort keeps positions ascending among equals, also among those that tie at the bound.
    best = best[np.argsort(-values[best], kind="stable")][:k]
    return best[values[best] > -np.inf]
