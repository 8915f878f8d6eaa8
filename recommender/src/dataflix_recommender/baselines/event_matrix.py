"""Matrices of events that ignore the weights of events."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

# Rows of a Gram matrix that each thread computes at a time.
BLOCK = 512
# A dense product is faster for users with more than I / 25 events; measured with 10,000 items on two cores.
DENSE_GAIN = 25


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def binary(matrix: csr_matrix) -> csr_matrix:
    """Return float32 1 for every stored entry of ``matrix``. The result shares its indices."""
    return csr_matrix(
        (np.ones(matrix.nnz, dtype=np.float32), matrix.indices, matrix.indptr), shape=matrix.shape
    )


def gram_of(events: csr_matrix, dtype: type[np.floating], *, threads: int) -> NDArray[np.floating]:
    """Return X'X dense [I, I] for ``events`` X [U, I]. Besides the result, each thread holds a block of rows.

    A user with n events costs n * n operations in a sparse product and I * I in a dense one. Dense operations
    are much faster, so the few users with the most events, who cost most, go through the dense product.
    """
    items = events.shape[1]
    heavy = np.diff(events.indptr) > items / DENSE_GAIN
    heaviest = np.flatnonzero(heavy)
    by_item = events[np.flatnonzero(~heavy)].T.tocsr()
    gram = np.empty((items, items), dtype=dtype)

    def sparse(start: int) -> None:
        # A block of rows of the upper triangle, from the diagonal on. The lower triangle mirrors it.
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
