"""What one item says of another: the item-item part of a model, beside its factors.

A linear model of items on items (Steck, "Embarrassingly Shallow Autoencoders", 2019), its weights scaled to
be added to the factors' score, and thinned out to the strongest of each item that is scored.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dataflix_recommender.errors import InvalidModelError

ARRAYS = ("link_offsets", "link_items", "link_values")
# The weight of three and a half stars, about the mean of MovieLens: an event of that weight counts as one.
MIDDLE_WEIGHT = 1.5
# However faint, liking something stays a sign for what is like it.
LEAST = 0.1


class ItemLinks:
    """``offsets`` int32[I + 1], ``items`` int32[N] and ``values`` float32[N] are a sparse matrix [I, I].

    Row: an item of the history; column: the item that is scored. ``slope`` is how much more an event counts
    for each unit of its weight. Raises InvalidModelError when the arrays do not fit together.
    """

    def __init__(
        self,
        offsets: NDArray[np.int32],
        items: NDArray[np.int32],
        values: NDArray[np.float32],
        *,
        slope: float,
    ) -> None:
        size = len(offsets) - 1
        for name, array, dtype in (("offsets", offsets, np.int32), ("items", items, np.int32)):
            if array.dtype != dtype:
                raise InvalidModelError(f"link {name} must be int32, got {array.dtype}")
        if size < 1 or offsets[0] != 0 or offsets[-1] != len(items) or np.any(np.diff(offsets) < 0):
            raise InvalidModelError("link offsets do not cover the items")
        if len(items) != len(values) or np.any((items < 0) | (items >= size)):
            raise InvalidModelError("links lead to items that the model does not have")
        if values.dtype != np.float32 or not np.isfinite(values).all():
            raise InvalidModelError("link values must be finite float32 numbers")
        self.slope = slope
        # Shares the arrays' memory, which may be mapped from a file.
        self.matrix = csr_matrix((values, items, offsets), shape=(size, size))

    @classmethod
    def none(cls, size: int) -> "ItemLinks":
        """Return the links of a model that has factors alone."""
        zeros = np.zeros(size + 1, dtype=np.int32)
        return cls(zeros, np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32), slope=0.0)

    @classmethod
    def of(cls, matrix: csr_matrix, *, slope: float) -> "ItemLinks":
        """Build from a matrix [I, I]; raises InvalidModelError when it has too many entries."""
        if matrix.nnz > np.iinfo(np.int32).max:
            raise InvalidModelError(f"{matrix.nnz:,} links are too many; keep fewer for each item")
        return cls(
            matrix.indptr.astype(np.int32),
            matrix.indices.astype(np.int32),
            matrix.data.astype(np.float32),
            slope=slope,
        )

    @property
    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The three arrays, by their names in the artifact."""
        return dict(zip(ARRAYS, (self.matrix.indptr, self.matrix.indices, self.matrix.data), strict=True))

    def __len__(self) -> int:
        return int(self.matrix.shape[0])

    def scores(self, rows: csr_matrix) -> NDArray[np.float32]:
        """Return float32[U, I] for rows [U, I] of weights."""
        counted = csr_matrix((event_values(rows.data, self.slope), rows.indices, rows.indptr), rows.shape)
        scores: NDArray[np.float32] = (counted @ self.matrix).toarray()
        return scores

    def contributions(
        self, positions: NDArray[np.int64], weights: NDArray[np.float32], targets: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return float64[T, n]: what each event adds to the score of each target; rows sum to ``scores``."""
        place = np.full(len(self), -1, dtype=np.int64)
        place[targets] = np.arange(len(targets))
        # Gathered by one look-up per link of the history: slicing columns of such a matrix takes far longer.
        linked = self.matrix[positions]
        columns = place[linked.indices]
        wanted = columns >= 0
        rows = np.repeat(np.arange(len(positions)), np.diff(linked.indptr))[wanted]
        between = np.zeros((len(targets), len(positions)))
        between[columns[wanted], rows] = linked.data[wanted]
        result: NDArray[np.float64] = between[place[targets]] * event_values(weights, self.slope)
        return result


def event_values(weights: NDArray[np.float32], slope: float) -> NDArray[np.float32]:
    """Return how much events of these weights count, float32[n]: about 1 if liked, 0 if disliked."""
    values = np.maximum(LEAST, 1 + slope * (weights - MIDDLE_WEIGHT))
    return np.where(weights > 0, values, 0).astype(np.float32)
