"""The same list for everybody: what most took, and what most took lately."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

MICROSECONDS_PER_DAY = 86_400 * 1_000_000


@dataclass(frozen=True, slots=True)
class SameForAll:
    """Scores ``item_scores`` float32[I] whoever asks."""

    item_scores: NDArray[np.float32]

    def scores(self, known: csr_matrix) -> NDArray[np.float32]:
        """Return float32[U, I] for the rows of ``known`` [U, I]; read-only, its rows share their memory."""
        return np.broadcast_to(self.item_scores, known.shape)


def popular(matrix: csr_matrix) -> SameForAll:
    """Score by the number of events of each item of ``matrix`` [U, I]."""
    return SameForAll(np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.float32))


def recent(matrix: csr_matrix, times: NDArray[np.int64], *, half_life_days: float) -> SameForAll:
    """Score by events of which each counts half as much for every ``half_life_days`` that it is old.

    ``times`` int64[nnz], microseconds in the order of ``matrix.data``; the latest of all is the present.
    """
    age = (times.max(initial=0) - times) / MICROSECONDS_PER_DAY
    counted = np.bincount(matrix.indices, weights=np.exp2(-age / half_life_days), minlength=matrix.shape[1])
    return SameForAll(counted.astype(np.float32))
