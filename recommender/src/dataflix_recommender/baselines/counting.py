"""Matrices of events, whatever each event weighs."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

# Rows of a Gram matrix that are made at a time.
BLOCK = 1024
# How many events of I make a dense product cheaper than a sparse one: I / 30.
DENSE_GAIN = 30


def binary(matrix: csr_matrix) -> csr_matrix:
    """Return ``matrix`` with 1 for every stored entry, float32; nothing is copied but the values."""
    return csr_matrix(
        (np.ones(matrix.nnz, dtype=np.float32), matrix.indices, matrix.indptr), shape=matrix.shape
    )


def gram_of(events: csr_matrix, dtype: type[np.floating]) -> NDArray[np.floating]:
    """Return X'X dense [I, I] for ``events`` X [U, I]; beside the result, some blocks of rows are held.

    A user of n events costs n * n in a sparse product and I * I in a dense one, whose operations are so much
    faster that the few with the most events, who make up most of the first sum, go through the second.
    """
    users, items = events.shape
    counts = np.diff(events.indptr)
    heavy = counts > items / DENSE_GAIN
    light = csr_matrix(events[np.flatnonzero(~heavy)])
    by_item = light.T.tocsr()
    gram = np.empty((items, items), dtype=dtype)
    for start in range(0, items, BLOCK):
        gram[start : start + BLOCK] = (by_item[start : start + BLOCK] @ light).toarray()
    rest = np.flatnonzero(heavy)
    for start in range(0, len(rest), BLOCK):
        rows = events[rest[start : start + BLOCK]].toarray()
        for first in range(0, items, BLOCK):
            gram[first : first + BLOCK] += rows[:, first : first + BLOCK].T @ rows
    return gram
