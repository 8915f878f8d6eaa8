"""Matrices of events, whatever each event weighs."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

# Rows of a Gram matrix that are made at a time.
BLOCK = 1024


def binary(matrix: csr_matrix) -> csr_matrix:
    """Return ``matrix`` with 1 for every stored entry, float32; nothing is copied but the values."""
    return csr_matrix(
        (np.ones(matrix.nnz, dtype=np.float32), matrix.indices, matrix.indptr), shape=matrix.shape
    )


def gram_of(events: csr_matrix, dtype: type[np.floating]) -> NDArray[np.floating]:
    """Return X'X dense [I, I] for ``events`` X [U, I]; beside the result, one block of rows is held."""
    items = events.shape[1]
    by_item = events.T.tocsr()
    gram = np.empty((items, items), dtype=dtype)
    for start in range(0, items, BLOCK):
        gram[start : start + BLOCK] = (by_item[start : start + BLOCK] @ events).toarray()
    return gram
