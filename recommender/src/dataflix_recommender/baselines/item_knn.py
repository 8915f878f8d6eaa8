"""ItemKNN: an item is scored by its similarity to the items that a user took.

The similarity is the cosine of two columns, its denominator raised by a shrinkage. So two items that few
users took are not similar by chance (Deshpande, Karypis 2004; Dacrema et al. 2019).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from dataflix_recommender.algorithms.top_k import top_k_column_sets
from dataflix_recommender.baselines.event_matrix import binary

# Rows of the similarity matrix computed at a time: 1,024 of 30,000 items are 120 MB of float32.
BLOCK = 1024


@dataclass(frozen=True, slots=True)
class ItemKNN:
    """The fitted model.

    Attributes:
        weights: Sparse [I, I]; row an item of the history, column the item that is scored.
    """

    weights: csr_matrix

    @classmethod
    def fit(cls, matrix: csr_matrix, *, neighbours: int, shrinkage: float) -> "ItemKNN":
        """Fit on the events ``matrix`` [U, I]. Memory is bounded by ``neighbours`` and one block of rows.

        Args:
            matrix: Each stored entry is an event.
            neighbours: The most similar items that each item keeps.
            shrinkage: What is added to the denominator of the cosine.
        """
        events = binary(matrix)
        by_item = events.T.tocsr()
        norms = np.sqrt(np.diff(by_item.indptr)).astype(np.float32)
        blocks = [
            _nearest(by_item[start : start + BLOCK] @ events, norms, start, neighbours, shrinkage)
            for start in range(0, events.shape[1], BLOCK)
        ]
        # The rows of the blocks are the scored items.
        return cls(vstack(blocks, format="csr").T.tocsr())

    def scores(self, known: csr_matrix, last_at: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Return float32[U, I]: the sum of similarities to the items of each row of ``known`` [U, I]."""
        result: NDArray[np.float32] = (binary(known) @ self.weights).toarray()
        return result


def _nearest(
    counts: csr_matrix, norms: NDArray[np.float32], start: int, neighbours: int, shrinkage: float
) -> csr_matrix:
    """Return the highest similarities of each row, given the ``counts`` [B, I] of users in common."""
    rows, items = counts.shape
    similarity = counts.toarray() / (
        norms[start : start + rows, None] * norms + np.float32(shrinkage) + _TINY
    )
    similarity[np.arange(rows), start + np.arange(rows)] = 0
    columns = top_k_column_sets(similarity, neighbours)
    values = np.take_along_axis(similarity, columns, axis=1).astype(np.float32)
    kept = columns.shape[1]
    nearest = csr_matrix(
        (values.ravel(), columns.ravel(), np.arange(0, rows * kept + 1, kept)), shape=(rows, items)
    )
    nearest.eliminate_zeros()
    return nearest


# Keeps the cosine of items that nobody took at 0, instead of 0 / 0.
_TINY = np.float32(1e-12)
