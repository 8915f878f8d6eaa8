"""Fits implicit ALS with the library implicit, and works around its traps."""

from dataclasses import dataclass

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.recommender_base import ModelFitError
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from dataflix_trainer.errors import DataError
from dataflix_trainer.model.hyperparameters import Hyperparameters


@dataclass(frozen=True, slots=True)
class Factors:
    """Both sides of a factorization: ``users`` float32[U, F] and ``items`` float32[I, F]."""

    users: NDArray[np.float32]
    items: NDArray[np.float32]


def fit_factors(
    matrix: csr_matrix,
    parameters: Hyperparameters,
    *,
    regularization: float,
    threads: int,
    start: Factors | None = None,
) -> Factors:
    """Return the factors of ``matrix`` [U, I] of weights.

    The same matrix, parameters, threads and start give the same bits. Users and items without an event get
    zero factors.

    Args:
        matrix: weights, float32[U, I].
        parameters: factors, alpha, iterations and seed are used.
        regularization: the ridge of both sides.
        threads: of the library.
        start: factors of nearly the same matrix; ``parameters.warm_iterations`` are enough after them.

    Raises:
        DataError: there is no positive event to learn from, or the factors are not finite.
    """
    if not np.any(matrix.data > 0):
        raise DataError("no user has liked any movie, so there is nothing to learn from; load ratings first")
    # Rows and columns without events would keep traces of their random start.
    users = np.flatnonzero(np.diff(matrix.indptr))
    items = np.flatnonzero(np.bincount(matrix.indices, minlength=matrix.shape[1]))
    seen = matrix
    if (len(users), len(items)) != matrix.shape:
        seen = csr_matrix(matrix[users][:, items])
        seen.sort_indices()
    # BLAS threads next to the library's own double the time. One thread also fixes the order of sums.
    with threadpool_limits(1, "blas"):
        # Always a new object: fitting one again on another matrix ends the process or gives NaN.
        als = AlternatingLeastSquares(
            factors=parameters.factors,
            alpha=parameters.alpha,
            regularization=regularization,
            iterations=parameters.iterations if start is None else parameters.warm_iterations,
            num_threads=threads,
            random_state=parameters.seed,
        )
        if start is not None:
            # Indexing copies, so the library does not write to ``start``. New users begin at zero.
            als.user_factors, als.item_factors = start.users[users], start.items[items]
        try:
            als.fit(seen, show_progress=False)
        except ModelFitError as error:
            raise DataError(f"training gave no usable factors ({error}); raise the regularization") from error
    factors = Factors(
        _spread(als.user_factors, users, matrix.shape[0]), _spread(als.item_factors, items, matrix.shape[1])
    )
    if not np.isfinite(factors.items).all():
        raise DataError("training gave NaN or infinite factors; raise the regularization")
    return factors


def _spread(rows: NDArray[np.float32], positions: NDArray[np.int64], size: int) -> NDArray[np.float32]:
    """Return [size, F] with ``rows`` at ``positions`` and zeros elsewhere."""
    if len(rows) == size:
        return rows
    spread = np.zeros((size, rows.shape[1]), dtype=np.float32)
    spread[positions] = rows
    return spread
