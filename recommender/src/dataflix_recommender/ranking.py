"""Exact top-k over a whole catalogue."""

import numpy as np
from numpy.typing import NDArray


def top_k(scores: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """Return the positions of the ``min(k, allowed)`` highest scores, best first.

    ``scores`` float32[I] must be finite; ``allowed`` bool[I] removes the False ones (None allows all). Equal
    scores are ordered by position, so the answer is the same on every machine.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    candidates = None if allowed is None else np.flatnonzero(allowed)
    values = scores if candidates is None else scores[candidates]
    k = min(k, len(values))
    if k == 0:
        return np.empty(0, dtype=np.int64)
    if k < len(values):
        threshold = np.partition(values, len(values) - k)[len(values) - k]
        best = np.flatnonzero(values >= threshold)
    else:
        best = np.arange(len(values))
    # A stable sort keeps positions ascending among equals, also among those that tie at the threshold.
    best = best[np.argsort(-values[best], kind="stable")][:k]
    return best if candidates is None else candidates[best]
