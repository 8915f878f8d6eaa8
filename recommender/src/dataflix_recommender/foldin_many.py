"""Fold-in of many users at once, to the precision of the factors: what ``foldin`` solves, by iteration.

With A = Y'Y + regularization I = LL' and Z = Y L'^-1, a user's system (see ``foldin``) becomes

    (I + Z_u' D Z_u) w = Z_u' c+        with x = L'^-1 w, D = diag(abs(c) - 1)

Most of its eigenvalues are 1 and few are far from it, so that conjugate gradients (Hestenes and Stiefel,
1952) end after about ten steps, each of two passes over the user's n rows of Z, where a Cholesky takes
n F^2 + F^3 / 3 operations. Takács, Pilászy and Tikk, "Applications of the Conjugate Gradient Method for
Implicit Feedback Collaborative Filtering" (2011), have the method.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.sparse import csr_matrix

from dataflix_recommender.foldin import fold_in

if TYPE_CHECKING:
    from dataflix_recommender.model import Model

# Of the size of w, when the iteration may end: a score is then right to 5e-6 of those at a list's end.
TOLERANCE = 2e-6
# Trained models take 8 to 14 steps. Who is not done by then is solved directly.
MAX_STEPS = 30
# Single precision loses what the largest eigenvalue is above 1; it is at most 1 + sum(D |z|^2). Beyond this
# the system is solved directly, in double precision.
MAX_SPREAD = 200.0
# Events held at a time; 128 factors of each take 4 MiB. CPU time was 1.45 times as much with 2,048, 1.3 times
# with 4,096 and with 16,384: calls on little work, and rows that no cache holds.
EVENTS_AT_A_TIME = 8_192


class ManyFolded:
    """Folds in many users of one model; immutable, so that threads may share it."""

    def __init__(self, model: "Model") -> None:
        self._model = model
        system = model.gram + model.info.regularization * np.eye(model.info.factors)
        lower = np.linalg.cholesky(system)
        # float64[F, F]: x = w @ this.
        self._back: NDArray[np.float64] = solve_triangular(lower, np.eye(len(lower)), lower=True)
        self._whitened = (model.item_factors @ self._back.T).astype(np.float32)
        self._sizes = np.square(self._whitened).sum(axis=1)

    def factors(self, rows: csr_matrix) -> NDArray[np.float32]:
        """Return float32[U, F] for the rows of ``rows`` [U, I] of weights.

        Zero for whoever has no positive event. Raises InvalidHistoryError as ``fold_in`` does.
        """
        counts = np.diff(rows.indptr)
        confidences = self._confidences(rows, counts)
        whitened = np.zeros((len(counts), len(self._back)), dtype=np.float32)
        done = np.zeros(len(counts), dtype=np.bool_)
        # Users of nearly as many events stand beside each other, so that little of a block is filling.
        order = np.argsort(counts, kind="stable")
        for some in _parts(order, counts[order]):
            whitened[some], done[some] = self._solve(rows, confidences, some, counts[some])
        factors = (whitened @ self._back).astype(np.float32)
        for row in np.flatnonzero(~done):
            events = slice(rows.indptr[row], rows.indptr[row + 1])
            factors[row] = fold_in(
                self._model.item_factors[rows.indices[events]],
                confidences[events],
                self._model.gram,
                self._model.info.regularization,
            ).factor
        return factors

    def _confidences(self, rows: csr_matrix, counts: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return float32[nnz], as ``Model.confidences`` has them for each row."""
        # By the number of events: few differ, however many users there are.
        numbers, which = np.unique(counts, return_inverse=True)
        info = self._model.info
        scales = np.array([info.alpha * info.activity_scale(int(n)) for n in numbers], dtype=np.float32)
        confidences: NDArray[np.float32] = rows.data.astype(np.float32) * np.repeat(scales[which], counts)
        return confidences

    def _solve(
        self,
        rows: csr_matrix,
        confidences: NDArray[np.float32],
        users: NDArray[np.int64],
        counts: NDArray[np.int64],
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return w float32[B, F] of the given rows, and bool[B], whether it is as near as it is to be."""
        places = np.arange(max(1, int(counts.max(initial=0))))
        filled = places < counts[:, None]
        if not filled.any():
            return np.zeros((len(users), len(self._back)), dtype=np.float32), np.ones(len(users), np.bool_)
        at = np.where(filled, rows.indptr[users][:, None] + places, rows.indptr[users[-1]])
        items = rows.indices[at]
        some = confidences[at] * filled
        surplus = np.where(filled, np.abs(some) - 1, np.float32(0))
        near = (np.maximum(surplus, 0) * self._sizes[items]).sum(axis=1) < MAX_SPREAD
        solution, converged = _conjugate_gradients(
            self._whitened.take(items, axis=0), surplus, np.maximum(some, 0)
        )
        return solution, near & converged


def _parts(order: NDArray[np.int64], counts: NDArray[np.int64]) -> "list[NDArray[np.int64]]":
    """Cut ``order`` into runs of at most EVENTS_AT_A_TIME events, when filled up to the last's number."""
    parts, start, numbers = [], 0, counts.tolist()
    for end, number in enumerate(numbers):
        if end > start and number * (end + 1 - start) > EVENTS_AT_A_TIME:
            parts.append(order[start:end])
            start = end
    return [*parts, order[start:]] if len(order) else parts


def _conjugate_gradients(
    rows: NDArray[np.float32], surplus: NDArray[np.float32], positive: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Solve (I + Z'DZ) w = Z'c for each of B users: w float32[B, F], and bool[B], whether it was reached.

    ``rows`` float32[B, n, F] are their Z, ``surplus`` float32[B, n] their D and ``positive`` their c.
    """
    residual = (positive[:, None] @ rows)[:, 0]
    solution = np.zeros_like(residual)
    direction = residual.copy()
    left = _squares(residual)
    # Confidences without bound end in NaN, which is not within any tolerance.
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        for _ in range(MAX_STEPS):
            weighted = (rows @ direction[:, :, None])[:, :, 0]
            weighted *= surplus
            product = (weighted[:, None] @ rows)[:, 0]
            product += direction
            step = left / np.einsum("bf,bf->b", direction, product)
            # Nothing is left of who has no positive event, or is solved to the last bit.
            step[left == 0] = 0
            solution += step[:, None] * direction
            residual -= step[:, None] * product
            before, left = left, _squares(residual)
            reached = left <= TOLERANCE**2 * _squares(solution)
            if reached.all():
                break
            direction *= (left / np.where(before > 0, before, 1))[:, None]
            direction += residual
    return solution, reached


def _squares(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the squared lengths float32[B] of ``vectors`` [B, F]."""
    squares: NDArray[np.float32] = np.einsum("bf,bf->b", vectors, vectors)
    return squares
