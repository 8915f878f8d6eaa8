"""The same list for all users: the most popular items, overall or recently."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

MICROSECONDS_PER_DAY = 86_400 * 1_000_000


@dataclass(frozen=True, slots=True)
class SameForAll:
    """Scores that are the same for all users.

    Attributes:
        item_scores: float32[I].
    """

    item_scores: NDArray[np.float32]

    def scores(self, known: csr_matrix, last_at: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Return float32[U, I] for the rows of ``known`` [U, I], read-only: all rows share one array."""
        return np.broadcast_to(self.item_scores, known.shape)


def popular(matrix: csr_matrix) -> SameForAll:
    """Score each item of ``matrix`` [U, I] by its number of events."""
    return SameForAll(np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.float32))


def recent(matrix: csr_matrix, times: NDArray[np.int64], *, half_life_days: float) -> SameForAll:
    """Score each item by its events, of which older ones count less.

    Args:
        matrix: [U, I]; each stored entry is an event.
        times: int64[nnz], microseconds in the order of ``matrix.data``. The latest is the present.
        half_life_days: The age at which an event counts half.
    """
    age = (times.max(initial=0) - times) / MICROSECONDS_PER_DAY
    counted = np.bincount(matrix.indices, weights=np.exp2(-age / half_life_days), minlength=matrix.shape[1])
    return SameForAll(counted.astype(np.float32))
