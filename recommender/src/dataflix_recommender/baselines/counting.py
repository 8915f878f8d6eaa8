"""Matrices of events, whatever each event weighs."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

# Rows of a Gram matrix that are made at a time, by each thread.
BLOCK = 512
# A dense product is cheaper for users with more than I / 25 events: measured with 10,000 items on two cores.
DENSE_GAIN = 25


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def binary(matrix: csr_matrix) -> csr_matrix:
    """Return ``matrix`` with 1 for every stored entry, float32; nothing is copied but the values."""
    return csr_matrix(
        (np.ones(matrix.nnz, dtype=np.float32), matrix.indices, matrix.indptr), shape=matrix.shape
    )


def gram_of(events: csr_matrix, dtype: type[np.floating], *, threads: int) -> NDArray[np.floating]:
    """Return X'X dense [I, I] for ``events`` X [U, I]; beside the result, each thread holds a block of rows.

    A user of n events costs n * n in a sparse product and I * I in a dense one, whose operations are so much
    faster that the few with the most events, who make up most of the first sum, go through the second.
    """
    items = events.shape[1]
    heavy = np.diff(events.indptr) > items / DENSE_GAIN
    heaviest = np.flatnonzero(heavy)
    by_item = events[np.flatnonzero(~heavy)].T.tocsr()
    gram = np.empty((items, items), dtype=dtype)

    def sparse(start: int) -> None:
        # The upper half, a block of rows and all columns from the diagonal on; the lower is its mirror image.
        block, onward = slice(start, start + BLOCK), slice(start, None)
        gram[block, onward] = (by_item[block] @ by_item[onward].T.tocsr()).toarray()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(sparse, range(0, items, BLOCK)))
    for first in range(0, len(heaviest), BLOCK):
        rows = events[heaviest[first : first + BLOCK]].toarray()
        for start in range(0, items, BLOCK):
            block, onward = slice(start, start + BLOCK), slice(start, None)
            gram[block, onward] += rows[:, block].T @ rows[:, onward]
    for start in range(0, items, BLOCK):
        block, below = slice(start, start + BLOCK), slice(start + BLOCK, None)
        gram[below, block] = gram[block, below].T
    return gram
