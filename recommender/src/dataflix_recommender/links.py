"""What one item says of another: the item-item part of a model, beside its factors.

A linear model of items on items (Steck, "Embarrassingly Shallow Autoencoders", 2019), its weights scaled to
be added to the factors' score, and thinned out to the strongest of each item that is scored.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import _sparsetools, csr_matrix

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

    def of_events(self, positions: NDArray[np.int64], weights: NDArray[np.float32]) -> "LinkedEvents":
        """Gather the links of the n events of one user: positions int64[n] and weights float32[n]."""
        matrix = self.matrix
        rows = positions.astype(np.int32)
        offsets = np.zeros(len(rows) + 1, dtype=np.int32)
        np.cumsum(matrix.indptr[rows + 1] - matrix.indptr[rows], out=offsets[1:])
        items = np.empty(offsets[-1], dtype=np.int32)
        links = np.empty(offsets[-1], dtype=np.float32)
        # What matrix[rows] calls: all that stands around it there takes four times as long as the copying.
        _sparsetools.csr_row_index(len(rows), rows, matrix.indptr, matrix.indices, matrix.data, items, links)
        return LinkedEvents(len(self), offsets, items, links, event_values(weights, self.slope))


@dataclass(frozen=True, slots=True)
class LinkedEvents:
    """What n events of one user lead to, of ``size`` items I, and how much each event counts.

    Event ``e`` leads to ``items`` int32 at ``offsets[e]:offsets[e + 1]``, with ``links`` float32; ``values``
    float32[n] are those of the events.
    """

    size: int
    offsets: NDArray[np.int32]
    items: NDArray[np.int32]
    links: NDArray[np.float32]
    values: NDArray[np.float32]

    def scores(self) -> NDArray[np.float32]:
        """Return float32[I], what the events add to the score of every item."""
        scores = np.zeros(self.size, dtype=np.float32)
        # A product of csc_matrix((links, items, offsets)) with values, without making the matrix.
        _sparsetools.csc_matvec(
            self.size, len(self.values), self.offsets, self.items, self.links, self.values, scores
        )
        return scores

    def contributions(self, targets: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return float64[T, n]: what each event adds to the score of each target; rows sum to ``scores``."""
        place = np.full(self.size, -1, dtype=np.int32)
        place[targets] = np.arange(len(targets), dtype=np.int32)
        # By one look-up per link: slicing columns of a matrix that is laid out by rows takes far longer.
        rows = place[self.items]
        wanted = np.flatnonzero(rows >= 0)
        columns = np.searchsorted(self.offsets, wanted, side="right") - 1
        between = np.zeros((len(targets), len(self.values)))
        between[rows[wanted], columns] = self.links[wanted]
        result: NDArray[np.float64] = between[place[targets]] * self.values
        return result


def event_values(weights: NDArray[np.float32], slope: float) -> NDArray[np.float32]:
    """Return how much events of these weights count, float32[n]: about 1 if liked, 0 if disliked."""
    values = np.maximum(LEAST, 1 + slope * (weights - MIDDLE_WEIGHT))
    return np.where(weights > 0, values, 0).astype(np.float32)
