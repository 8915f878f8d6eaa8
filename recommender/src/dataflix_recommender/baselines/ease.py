"""EASE: a linear model of items on items with a closed form.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (2019). With the Gram matrix G = X'X and
P = (G + regularization I)^-1 its weights are B = I - P / diag(P): zero on the diagonal, dense elsewhere.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, lapack
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from dataflix_recommender.baselines.counting import BLOCK, available_cores, binary, gram_of
from dataflix_recommender.errors import InvalidModelError

# The weights of 20,000 items take 1.6 GB; memory grows with the square of their number, time with the cube.
MAX_ITEMS = 20_000
# Up to here the inverse is taken in double precision; beyond it in single, which halves memory and time. Gram
# matrices of ratings have conditions of 1e3 to 1e5 at the usual regularisations, so single precision keeps
# two digits at worst. Seen with 3 million invented ratings, 2,500 items and a regularisation of 200: one of
# the 125,000 weights that are an item's 50 strongest was another.
MAX_ITEMS_DOUBLE = 2_000


@dataclass(frozen=True, slots=True)
class Ease:
    """``weights`` float32[M, M], row an item of the history, column the item that is scored.

    ``items`` int64[M] ascending are the positions in the catalogue that they are of: all of them, or the
    most popular MAX_ITEMS. The other items come last in every ranking.
    """

    weights: NDArray[np.float32]
    items: NDArray[np.int64]

    @classmethod
    def fit(cls, matrix: csr_matrix, *, regularization: float, max_items: int = MAX_ITEMS) -> "Ease":
        """Learn from ``matrix`` [U, I] on all cores; the same matrix and cores give the same bits.

        Raises InvalidModelError without any event, and for a regularisation that is not above 0.
        """
        events = binary(matrix)
        items = _items(events, regularization, max_items)
        events = events[:, items]
        with threadpool_limits(available_cores(), "blas"):
            if _few_users(events):
                return cls(_weights(_inverse_by_users(events, regularization)), items)
            return cls(_weights(_inverse(_system(events, regularization, available_cores()))), items)

    @classmethod
    def fit_weighted(
        cls, events: csr_matrix, *, regularization: float, max_items: int = MAX_ITEMS, threads: int = 1
    ) -> "tuple[Ease, NDArray[np.floating]]":
        """Learn from ``events`` [U, I] as they are weighted: a row's own scale is how much its user counts.

        Returns the system X'X + regularization I, [M, M] of the items in question, too, for who goes on with
        it: it takes longer than its inverse. Raises InvalidModelError as ``fit`` does.
        """
        items = _items(events, regularization, max_items)
        events = events[:, items]
        with threadpool_limits(threads, "blas"):
            system = _system(events, regularization, threads)
            few = _few_users(events)
            inverse = _inverse_by_users(events, regularization) if few else _inverse(system.copy())
            return cls(_weights(inverse), items), system

    def scores(self, known: csr_matrix) -> NDArray[np.float32]:
        """Return float32[U, I] for the rows of ``known`` [U, I]."""
        scored = binary(known)[:, self.items] @ self.weights
        if len(self.items) == known.shape[1]:
            return np.asarray(scored, dtype=np.float32)
        last = scored.min(axis=1, initial=0, keepdims=True) - 1
        result = np.repeat(last.astype(np.float32), known.shape[1], axis=1)
        result[:, self.items] = scored
        return result


def _items(events: csr_matrix, regularization: float, max_items: int) -> NDArray[np.int64]:
    """Return the positions of the most popular items, ascending; raises InvalidModelError."""
    if events.nnz == 0:
        raise InvalidModelError("EASE needs at least one event to learn from")
    if not regularization > 0:
        raise InvalidModelError(f"EASE's regularisation must be above 0, got {regularization}")
    counts = np.bincount(events.indices, minlength=events.shape[1])
    # Items without an event have nothing to learn from, and need no memory.
    return np.sort(np.argsort(-counts, kind="stable")[: min(max_items, np.count_nonzero(counts))])


def _precision(items: int) -> type[np.floating]:
    return np.float64 if items <= MAX_ITEMS_DOUBLE else np.float32


def _system(events: csr_matrix, regularization: float, threads: int) -> NDArray[np.floating]:
    """Return X'X + regularization I."""
    items = events.shape[1]
    system = gram_of(events, _precision(items), threads=threads)
    system.flat[:: items + 1] += regularization
    return system


def _weights(inverse: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the weights of an inverse, in its own memory where that is in single precision."""
    diagonal = inverse.diagonal().copy()
    inverse /= -diagonal
    inverse.flat[:: len(inverse) + 1] = 0
    return inverse.astype(np.float32, copy=False)


def _few_users(events: csr_matrix) -> bool:
    users, items = events.shape
    return bool(users < items)


def _inverse_by_users(events: csr_matrix, regularization: float) -> NDArray[np.floating]:
    """Return (X'X + regularization I)^-1 by Woodbury's identity: the cube is of the users, who are fewer."""
    x = events.toarray().astype(_precision(events.shape[1]))
    system = x @ x.T
    system.flat[:: len(system) + 1] += regularization
    solved = cho_solve(cho_factor(system, lower=True, overwrite_a=True), x)
    inverse: NDArray[np.floating] = x.T @ solved
    inverse /= -regularization
    inverse.flat[:: len(inverse) + 1] += 1 / regularization
    return inverse


def _inverse(gram: NDArray[np.floating]) -> NDArray[np.floating]:
    """Invert a symmetric positive definite matrix in its own memory."""
    potrf, potri = lapack.get_lapack_funcs(("potrf", "potri"), (gram,))
    # A symmetric matrix is its own transpose, which LAPACK takes without a copy.
    factor, failed = potrf(gram.T, lower=True, overwrite_a=True, clean=False)
    if failed == 0:
        factor, failed = potri(factor, lower=True, overwrite_c=True)
    if failed:
        raise InvalidModelError("EASE's matrix cannot be inverted; raise the regularisation")
    inverse: NDArray[np.floating] = factor.T
    # LAPACK filled the half that is now the upper one; the other is its mirror image.
    for start in range(0, len(inverse), BLOCK):
        rows, below = slice(start, start + BLOCK), slice(start + BLOCK, None)
        square = inverse[rows, rows]
        square[:] = np.triu(square) + np.triu(square, 1).T
        inverse[below, rows] = inverse[rows, below].T
    return inverse
