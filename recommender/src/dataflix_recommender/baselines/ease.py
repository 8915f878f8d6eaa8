"""EASE: a linear model of items on items that has a closed form.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (2019). With the Gram matrix G = X'X and
P = (G + regularization I)^-1 its weights are B = I - P / diag(P): zero on the diagonal, dense elsewhere.

With dropout p of the history's items, P = (G + p / (1 - p) diag(G) + regularization I)^-1: popular items,
which explain much by chance, are trusted less (EDLAE; Steck, "Autoencoders that don't overfit towards the
Identity", 2020).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, lapack
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from dataflix_recommender.algorithms.top_k import top_k_masked
from dataflix_recommender.baselines.event_matrix import BLOCK, available_cores, binary, gram_of
from dataflix_recommender.errors import InvalidModelError

# The weights of 20,000 items take 1.6 GB. Memory grows with the square of the items, time with the cube.
MAX_ITEMS = 20_000
# Above so many items the inverse is in single precision, which halves memory and time and costs hardly any
# accuracy; see docs/evaluation.md.
MAX_ITEMS_DOUBLE = 2_000


@dataclass(frozen=True, slots=True)
class Ease:
    """The fitted model, of M items of a catalogue of I. The other items come last in every ranking.

    Attributes:
        weights: float32[M, M]; row an item of the history, column the item that is scored.
        items: int64[M], the positions of the items in the catalogue, ascending.
    """

    weights: NDArray[np.float32]
    items: NDArray[np.int64]

    @classmethod
    def fit(cls, matrix: csr_matrix, *, regularization: float, max_items: int = MAX_ITEMS) -> "Ease":
        """Fit on all cores. The same matrix and number of cores give the same bits.

        Args:
            matrix: [U, I]; each stored entry is an event, whatever its value.
            regularization: The ridge.
            max_items: Only so many of the most popular items are fitted.

        Raises:
            InvalidModelError: There is no event, or the regularisation is not above 0.
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
        cls,
        events: csr_matrix,
        *,
        regularization: float,
        dropout: float = 0.0,
        max_items: int = MAX_ITEMS,
        threads: int = 1,
    ) -> "tuple[Ease, NDArray[np.floating]]":
        """Fit on weighted events.

        Args:
            events: [U, I]; the scale of a row is how much its user counts.
            regularization: The ridge.
            dropout: The share of a history's events that is left out, in expectation; from 0 to below 1.
            max_items: Only so many of the most popular items are fitted.
            threads: The threads to use.

        Returns:
            The model, and the system that is inverted, [M, M]. The system takes longer to compute than its
            inverse, so a caller that needs it should not compute it again.

        Raises:
            InvalidModelError: As ``fit``; or the dropout is out of range.
        """
        if not 0 <= dropout < 1:
            raise InvalidModelError(f"EASE's dropout must be from 0 to below 1, got {dropout}")
        items = _items(events, regularization, max_items)
        events = events[:, items]
        with threadpool_limits(threads, "blas"):
            system = _system(events, regularization, threads)
            counts = system.diagonal() - regularization
            ridges = regularization + dropout / (1 - dropout) * counts
            system.flat[:: len(items) + 1] += ridges - regularization
            few = _few_users(events)
            inverse = _inverse_by_users(events, ridges) if few else _inverse(system.copy())
            return cls(_weights(inverse), items), system

    def scores(self, known: csr_matrix, last_at: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Return float32[U, I] for the rows of ``known`` [U, I], whatever the time."""
        scored = binary(known)[:, self.items] @ self.weights
        if len(self.items) == known.shape[1]:
            return np.asarray(scored, dtype=np.float32)
        last = scored.min(axis=1, initial=0, keepdims=True) - 1
        result = np.repeat(last.astype(np.float32), known.shape[1], axis=1)
        result[:, self.items] = scored
        return result


def _items(events: csr_matrix, regularization: float, max_items: int) -> NDArray[np.int64]:
    """Return the positions of the most popular items, ascending.

    Raises:
        InvalidModelError: There is no event, or the regularisation is not above 0.
    """
    if events.nnz == 0:
        raise InvalidModelError("EASE needs at least one event to learn from")
    if not regularization > 0:
        raise InvalidModelError(f"EASE's regularisation must be above 0, got {regularization}")
    counts = np.bincount(events.indices, minlength=events.shape[1])
    # Items without events are left out: there is nothing to learn about them.
    most = min(max_items, int(np.count_nonzero(counts)))
    return np.sort(top_k_masked(counts.astype(np.float64), most))


def _precision(items: int) -> type[np.floating]:
    return np.float64 if items <= MAX_ITEMS_DOUBLE else np.float32


def _system(events: csr_matrix, regularization: float, threads: int) -> NDArray[np.floating]:
    """Return X'X + regularization I."""
    items = events.shape[1]
    system = gram_of(events, _precision(items), threads=threads)
    system.flat[:: items + 1] += regularization
    return system


def _weights(inverse: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the weights for an inverse, in the memory of the inverse if it is in single precision."""
    diagonal = inverse.diagonal().copy()
    inverse /= -diagonal
    inverse.flat[:: len(inverse) + 1] = 0
    return inverse.astype(np.float32, copy=False)


def _few_users(events: csr_matrix) -> bool:
    users, items = events.shape
    return bool(users < items)


def _inverse_by_users(events: csr_matrix, ridges: float | NDArray[np.floating]) -> NDArray[np.floating]:
    """Return (X'X + R)^-1 by Woodbury's identity, which inverts a matrix of the users.

    R is the diagonal matrix of ``ridges``, one for all items or one for each. With X R^-1/2 for X it is
    R^-1/2 (X'X + I)^-1 R^-1/2.
    """
    precision = _precision(events.shape[1])
    roots = np.sqrt(np.broadcast_to(ridges, events.shape[1])).astype(precision)
    x = events.toarray().astype(precision) / roots
    system = x @ x.T
    system.flat[:: len(system) + 1] += 1
    solved = cho_solve(cho_factor(system, lower=True, overwrite_a=True), x)
    inverse: NDArray[np.floating] = x.T @ -solved
    inverse.flat[:: len(inverse) + 1] += 1
    inverse /= roots
    inverse /= roots[:, None]
    return inverse


def _inverse(gram: NDArray[np.floating]) -> NDArray[np.floating]:
    """Invert a symmetric positive definite matrix in place."""
    potrf, potri = lapack.get_lapack_funcs(("potrf", "potri"), (gram,))
    # LAPACK takes the transpose without a copy, and a symmetric matrix equals its transpose.
    factor, failed = potrf(gram.T, lower=True, overwrite_a=True, clean=False)
    if failed == 0:
        factor, failed = potri(factor, lower=True, overwrite_c=True)
    if failed:
        raise InvalidModelError("EASE's matrix cannot be inverted; increase the regularisation")
    inverse: NDArray[np.floating] = factor.T
    # LAPACK filled the triangle that is now the upper one. The lower triangle mirrors it.
    for start in range(0, len(inverse), BLOCK):
        rows, below = slice(start, start + BLOCK), slice(start + BLOCK, None)
        square = inverse[rows, rows]
        square[:] = np.triu(square) + np.triu(square, 1).T
        inverse[below, rows] = inverse[rows, below].T
    return inverse
