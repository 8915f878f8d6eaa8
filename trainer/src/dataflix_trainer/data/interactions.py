"""The interactions to train on: one confidence weight and one time per user and item."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dataflix_trainer.errors import DataError

# Users, items, weights and times: [n] each, n at least 1.
Block = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Interactions:
    """One confidence weight per user and item.

    Attributes:
        user_ids: int64[U], ascending and unique.
        item_ids: int64[I], ascending and unique.
        matrix: float32[U, I] with sorted columns and no explicit zero, which implicit would take for "seen".
        times: int64[nnz], the last event in microseconds since 1970, in the order of ``matrix.data``.

    Raises:
        DataError: the arrays do not fit together, or hold what cannot be trained on.
    """

    user_ids: NDArray[np.int64]
    item_ids: NDArray[np.int64]
    matrix: csr_matrix
    times: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.matrix.shape != (len(self.user_ids), len(self.item_ids)):
            raise DataError(
                f"the matrix is {self.matrix.shape} for {len(self.user_ids)} users "
                f"and {len(self.item_ids)} items"
            )
        for name, ids in (("user", self.user_ids), ("item", self.item_ids)):
            if np.any(np.diff(ids) <= 0):
                raise DataError(f"{name} ids are not ascending and unique")
        if len(self.times) != self.matrix.nnz:
            raise DataError(f"{self.matrix.nnz} weights but {len(self.times)} times")
        if not np.isfinite(self.matrix.data).all() or np.any(self.matrix.data == 0):
            raise DataError(
                "a confidence weight is 0 or not a finite number; see analytics.confidence_weights"
            )
        if not self.matrix.has_canonical_format:
            raise DataError("a user has one item twice, or the items of a user are not in order")

    @classmethod
    def from_blocks(cls, blocks: Iterable[Block], item_ids: NDArray[np.int64]) -> "Interactions":
        """Build from columns ordered by user, then item, block by block.

        The arrays of a block are not kept: an interaction takes 16 bytes, and 24 for a moment.

        Args:
            blocks: at least one.
            item_ids: int64[I], all items of the catalogue.

        Raises:
            DataError: ``item_ids`` lacks an item of the blocks, or the order is broken.
        """
        user_ids: list[NDArray[np.int64]] = []
        starts: list[NDArray[np.int64]] = []
        parts: dict[str, list[NDArray[Any]]] = {"positions": [], "weights": [], "times": []}
        read, last = 0, None
        for users, items, weights, times in blocks:
            # A row begins where the user changes: no sort, no dictionary, no object per row.
            changes = np.flatnonzero(np.diff(users)) + 1
            begins = changes if users[0] == last else np.concatenate(([0], changes))
            user_ids.append(users[begins])
            starts.append(begins + read)
            parts["positions"].append(_positions(items, item_ids))
            parts["weights"].append(np.array(weights, dtype=np.float32))
            parts["times"].append(np.array(times, dtype=np.int64))
            read, last = read + len(users), users[-1]
        whole = {name: np.concatenate(parts.pop(name)) for name in list(parts)}
        ids = np.concatenate(user_ids)
        matrix = csr_matrix(
            (whole["weights"], whole["positions"], np.concatenate([*starts, [read]])),
            shape=(len(ids), len(item_ids)),
        )
        return cls(ids, item_ids, matrix, whole["times"])

    @property
    def count(self) -> int:
        """Number of interactions."""
        return int(self.matrix.nnz)

    def digest(self) -> str:
        """Return the SHA-256 over ids, weights and times, the same for the same data."""
        digest = hashlib.sha256()
        parts = (self.user_ids, self.item_ids, self.matrix.indptr.astype(np.int64))
        for array in (*parts, self.matrix.indices.astype(np.int64), self.matrix.data, self.times):
            digest.update(len(array).to_bytes(8, "little"))
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def _positions(items: NDArray[np.int64], item_ids: NDArray[np.int64]) -> NDArray[np.int32]:
    positions = np.searchsorted(item_ids, items).astype(np.int32)
    known = positions < len(item_ids)
    known[known] = item_ids[positions[known]] == items[known]
    if not known.all():
        raise DataError(
            f"movie {items[~known][0]} is in analytics.user_item_matrix but not in "
            "analytics.dim_movies; run the pipeline again"
        )
    return positions


def latest_times(matrix: csr_matrix, times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return int64[U], the latest of the ``times`` of each row's entries; 0 for a row without entries."""
    latest = np.zeros(matrix.shape[0], dtype=np.int64)
    filled = np.flatnonzero(np.diff(matrix.indptr))
    if len(filled):
        latest[filled] = np.maximum.reduceat(times, matrix.indptr[filled])
    return latest


def move_columns(matrix: csr_matrix, to: NDArray[np.int64], size: int) -> csr_matrix:
    """Return ``matrix`` [U, I] with column ``i`` moved to ``to[i]`` of ``size``, or dropped at -1.

    When every column stays in its place, ``matrix`` itself is returned.
    """
    if np.array_equal(to, np.arange(size)):
        return matrix
    columns = to[matrix.indices]
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    kept = columns >= 0
    moved = csr_matrix((matrix.data[kept], (rows[kept], columns[kept])), shape=(matrix.shape[0], size))
    moved.sort_indices()
    return moved
