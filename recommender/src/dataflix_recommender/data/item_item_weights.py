"""The item-item part of a model: what each item of a history adds to the score of other items.

A linear model of items on items (Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", 2019). The
trainer scales its weights, so that they add to the scores of the factors, and keeps the strongest weights of
each scored item.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import _sparsetools, csr_matrix

from dataflix_recommender.errors import InvalidModelError

# The names of the three arrays in the artifact. They are older than the class name and stay.
ARTIFACT_NAMES = ("link_offsets", "link_items", "link_values")
# An event of this weight has the value 1. It is the weight of 3.5 stars, about the mean rating of MovieLens.
UNIT_WEIGHT = 1.5
# The value of the faintest positive event: it still speaks for similar items.
MIN_VALUE = 0.1


class ItemItemWeights:
    """A sparse matrix [I, I]: row an item of the history, column the item that is scored.

    Attributes:
        matrix: float32 [I, I]. It shares the memory of the arrays that it was made from.
        slope: How much more an event counts for each unit of its weight; see ``event_values``.

    Raises:
        InvalidModelError: The arrays do not fit together.
    """

    def __init__(
        self,
        offsets: NDArray[np.int32],
        items: NDArray[np.int32],
        values: NDArray[np.float32],
        *,
        slope: float,
    ) -> None:
        """Check the three arrays of a CSR matrix: int32[I + 1], int32[N] and float32[N]."""
        size = len(offsets) - 1
        for name, array, dtype in (("offsets", offsets, np.int32), ("items", items, np.int32)):
            if array.dtype != dtype:
                raise InvalidModelError(f"item-item {name} must be int32, got {array.dtype}")
        if size < 1 or offsets[0] != 0 or offsets[-1] != len(items) or np.any(np.diff(offsets) < 0):
            raise InvalidModelError("item-item offsets do not cover the items")
        if len(items) != len(values) or np.any((items < 0) | (items >= size)):
            raise InvalidModelError("item-item weights are for items that the model does not have")
        if values.dtype != np.float32 or not np.isfinite(values).all():
            raise InvalidModelError("item-item weights must be finite float32 numbers")
        self.slope = slope
        self.matrix = csr_matrix((values, items, offsets), shape=(size, size))

    @classmethod
    def empty(cls, size: int) -> "ItemItemWeights":
        """Return the weights of a model of ``size`` items that has factors alone."""
        zeros = np.zeros(size + 1, dtype=np.int32)
        return cls(zeros, np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32), slope=0.0)

    @classmethod
    def from_matrix(cls, matrix: csr_matrix, *, slope: float) -> "ItemItemWeights":
        """Build from a matrix [I, I].

        Raises:
            InvalidModelError: The matrix has too many entries for 32-bit offsets.
        """
        if matrix.nnz > np.iinfo(np.int32).max:
            raise InvalidModelError(
                f"{matrix.nnz:,} item-item weights are too many; keep fewer for each item"
            )
        return cls(
            matrix.indptr.astype(np.int32),
            matrix.indices.astype(np.int32),
            matrix.data.astype(np.float32),
            slope=slope,
        )

    @property
    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The three arrays by their names in the artifact."""
        parts = (self.matrix.indptr, self.matrix.indices, self.matrix.data)
        return dict(zip(ARTIFACT_NAMES, parts, strict=True))

    def __len__(self) -> int:
        return int(self.matrix.shape[0])

    def rows_of(self, positions: NDArray[np.int64], weights: NDArray[np.float32]) -> "ItemItemRows":
        """Return the rows of one user's n events.

        Args:
            positions: int64[n], the positions of the events' items.
            weights: float32[n], the weights of the events.
        """
        matrix = self.matrix
        rows = positions.astype(np.int32)
        offsets = np.zeros(len(rows) + 1, dtype=np.int32)
        np.cumsum(matrix.indptr[rows + 1] - matrix.indptr[rows], out=offsets[1:])
        items = np.empty(offsets[-1], dtype=np.int32)
        data = np.empty(offsets[-1], dtype=np.float32)
        # matrix[rows] calls the same function; its checks and wrappers take four times as long as the copy.
        _sparsetools.csr_row_index(len(rows), rows, matrix.indptr, matrix.indices, matrix.data, items, data)
        return ItemItemRows(len(self), offsets, items, data, event_values(weights, self.slope))


@dataclass(frozen=True, slots=True)
class ItemItemRows:
    """The rows of the item-item matrix for the n events of one user.

    Attributes:
        size: The number of items I.
        offsets: int32[n + 1]; event ``e`` has the entries at ``offsets[e]:offsets[e + 1]``.
        items: int32, the scored item of each entry.
        weights: float32, the weight of each entry.
        values: float32[n], how much each event counts.
    """

    size: int
    offsets: NDArray[np.int32]
    items: NDArray[np.int32]
    weights: NDArray[np.float32]
    values: NDArray[np.float32]

    def scores(self) -> NDArray[np.float32]:
        """Return float32[I], what the events add to the score of each item."""
        scores = np.zeros(self.size, dtype=np.float32)
        # The product of csc_matrix((weights, items, offsets)) with values, without building the matrix.
        _sparsetools.csc_matvec(
            self.size, len(self.values), self.offsets, self.items, self.weights, self.values, scores
        )
        return scores

    def contributions(self, targets: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return float64[T, n]: what each event adds to the score of each target position.

        A row sums to that target's part of ``scores``.
        """
        row_of = np.full(self.size, -1, dtype=np.int32)
        row_of[targets] = np.arange(len(targets), dtype=np.int32)
        # One look-up per entry: slicing columns of a matrix that is stored by rows takes far longer.
        rows = row_of[self.items]
        wanted = np.flatnonzero(rows >= 0)
        columns = np.searchsorted(self.offsets, wanted, side="right") - 1
        dense = np.zeros((len(targets), len(self.values)))
        dense[rows[wanted], columns] = self.weights[wanted]
        result: NDArray[np.float64] = dense[row_of[targets]] * self.values
        return result


def event_values(weights: NDArray[np.float32], slope: float) -> NDArray[np.float32]:
    """Return how much each event counts in the item-item part, float32[n].

    About 1 for a liked item, more for a better rating, and 0 for a dislike.
    """
    values = np.maximum(MIN_VALUE, 1 + slope * (weights - UNIT_WEIGHT))
    return np.where(weights > 0, values, 0).astype(np.float32)
