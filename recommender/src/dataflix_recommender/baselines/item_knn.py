"""ItemKNN: items are scored by their likeness to what a user took."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from dataflix_recommender.baselines.counting import binary

# Rows of the likeness matrix made at a time: 1,024 of 30,000 items are 120 MB of float32.
BLOCK = 1024


@dataclass(frozen=True, slots=True)
class ItemKNN:
    """``weights`` [I, I] sparse: row an item of the history, column the item that is scored."""

    weights: csr_matrix

    @classmethod
    def fit(cls, matrix: csr_matrix, *, neighbours: int, shrinkage: float) -> "ItemKNN":
        """Learn from ``matrix`` [U, I]; each item keeps its ``neighbours`` most alike.

        Likeness is the cosine of the items' columns, the denominator raised by ``shrinkage`` so that two
        items which few took are not alike by chance (Deshpande, Karypis 2004; Dacrema et al. 2019).
        Memory is bounded by ``neighbours`` and one block of rows.
        """
        events = binary(matrix)
        by_item = events.T.tocsr()
        norms = np.sqrt(np.diff(by_item.indptr)).astype(np.float32)
        blocks = [
            _nearest(by_item[start : start + BLOCK] @ events, norms, start, neighbours, shrinkage)
            for start in range(0, events.shape[1], BLOCK)
        ]
        # Rows are so far the scored items.
        return cls(vstack(blocks, format="csr").T.tocsr())

    def scores(self, known: csr_matrix) -> NDArray[np.float32]:
        """Return float32[U, I]: the sum of likenesses to what each row of ``known`` [U, I] holds."""
        result: NDArray[np.float32] = (binary(known) @ self.weights).toarray()
        return result


def _nearest(
    together: csr_matrix, norms: NDArray[np.float32], start: int, neighbours: int, shrinkage: float
) -> csr_matrix:
    """Turn counts [B, I] of users in common into likenesses, and keep the highest of each row."""
    rows, items = together.shape
    counts = together.toarray()
    likeness = counts / (norms[start : start + rows, None] * norms + np.float32(shrinkage) + _TINY)
    likeness[np.arange(rows), start + np.arange(rows)] = 0
    kept = min(neighbours, items)
    columns = np.sort(np.argpartition(likeness, items - kept, axis=1)[:, items - kept :], axis=1)
    values = np.take_along_axis(likeness, columns, axis=1).astype(np.float32)
    nearest = csr_matrix(
        (values.ravel(), columns.ravel(), np.arange(0, rows * kept + 1, kept)), shape=(rows, items)
    )
    nearest.eliminate_zeros()
    return nearest


# Items that nobody took are alike to none, and not 0 / 0.
_TINY = np.float32(1e-12)
