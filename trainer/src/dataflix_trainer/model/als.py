"""Fits implicit ALS, with the library's traps kept on this side."""

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.recommender_base import ModelFitError
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from dataflix_trainer.errors import DataError

# The defaults were chosen on validation splits of MovieLens latest-small (each user's latest fifth; a random
# split after rating >= 3 and 10-core; held-out users), NDCG@10, 2026-11. 64 factors lose 1 to 5 % against 128
# on whole data, 256 gain nothing beyond the noise and cost twice the fold-in.
DEFAULT_FACTORS = 128
# Weights average about 2, so an event counts about 4 times an unseen film. 0.5 to 4 came out within 3 % of
# each other once the regularisation was scaled along; 16 loses 10 % and more.
DEFAULT_ALPHA = 2.0
# 8, 15 and 30 differ by less than 2 % in either direction.
DEFAULT_ITERATIONS = 15
# After a start from the factors of nearly the same data. On latest-small, from a fit without the latest fifth
# of everybody's events, 3 gave 1.005 to 1.015 times the NDCG@10 of 15 from random ones and 0.993 to 1.002
# times the recall@20, for three seeds; 1 and 2 lose up to 2.4 % of the latter.
WARM_ITERATIONS = 3
# Ridge = this * alpha * (sqrt(events per user) + sqrt(events per film)). ALS with equal ridges on both sides
# shrinks each singular value of the weighted matrix by the ridge, and the noise of a sparse matrix reaches up
# to about that sum of square roots: tied to it, one constant fits data sets of any size. NDCG@10 against
# tuned EASE over latest-small and 100k, random splits and held-out users, factors alone with activity: 0.985
# at 0.7, 1.01 at 0.85 and 1.0, 0.995 at 1.2, 0.96 at 1.4; a ridge of 0.1 to 1, often seen, loses a quarter.
REGULARIZATION_SCALE = 1.0
DEFAULT_SEED = 20250101
# What people who rate everything say is worth less by the event. On the same splits 0.4, 0.5 and 0.6 came out
# within 0.2 % of each other, 1 % over 0 for factors alone and half a per cent with links.
DEFAULT_ACTIVITY_EXPONENT = 0.5
# Over twelve splits of latest-small and 100k, random and held-out users, 0.5, 0.75 and 1 came to 1.035, 1.037
# and 1.034 times the best of four EASE, 2 to 1.022. On invented ratings of the size of ml-1m, whose 3,700
# films are like more than a hundred others each, 0.5 gains 1 to 2 % over 1.
DEFAULT_LINK_WEIGHT = 0.5
# Among 50 to 400 the best, and for EASE alone, too.
DEFAULT_LINK_REGULARIZATION = 200.0
# The same thought as above for the links; 0.25 and 0.5 gain 1 % over 0.
DEFAULT_LINK_ACTIVITY_EXPONENT = 0.25
# A rating of 5 counts 1.2, one of 3 counts 0.9; some such slope gains about half a per cent over none.
DEFAULT_LINK_SLOPE = 0.15


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """What a fit is told; ``regularization`` None means ``regularization_scale`` times the data's own.

    ``activity_exponent`` lowers the confidences of users with many events (see ModelInfo.activity_scale). The
    links between items are an EASE with ``link_regularization``, whose users count by
    ``link_activity_exponent`` and whose events by ``link_slope``; ``link_weight`` 0 leaves them out.
    """

    factors: int = DEFAULT_FACTORS
    alpha: float = DEFAULT_ALPHA
    regularization: float | None = None
    iterations: int = DEFAULT_ITERATIONS
    seed: int = DEFAULT_SEED
    regularization_scale: float = REGULARIZATION_SCALE
    activity_exponent: float = DEFAULT_ACTIVITY_EXPONENT
    link_weight: float = DEFAULT_LINK_WEIGHT
    link_regularization: float = DEFAULT_LINK_REGULARIZATION
    link_activity_exponent: float = DEFAULT_LINK_ACTIVITY_EXPONENT
    link_slope: float = DEFAULT_LINK_SLOPE

    @classmethod
    def plain(cls, **given: Any) -> Self:
        """Return the parameters of ALS alone, as the library has it: every user alike, and no links."""
        return cls(**given, activity_exponent=0.0, link_weight=0.0)

    def ridge(self, matrix: csr_matrix) -> float:
        """Return the regularisation for ``matrix`` [U, I]: the given one, or the one scaled to its size."""
        if self.regularization is not None:
            return self.regularization
        users = np.count_nonzero(np.diff(matrix.indptr))
        items = len(np.unique(matrix.indices))
        return (
            self.regularization_scale
            * self.alpha
            * (math.sqrt(matrix.nnz / users) + math.sqrt(matrix.nnz / items))
        )


@dataclass(frozen=True, slots=True)
class Factors:
    """Both sides of a factorisation: ``users`` float32[U, F] and ``items`` float32[I, F]."""

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
    zero factors. ``start`` are those of nearly the same matrix: from there WARM_ITERATIONS are enough.
    Raises DataError when the fit does not come out finite, or when there is no positive event to learn from.
    """
    if not np.any(matrix.data > 0):
        raise DataError("no user has liked any film: there is nothing to learn from")
    # Rows and columns without events would still start from random factors and leave a trace of them.
    users = np.flatnonzero(np.diff(matrix.indptr))
    items = np.flatnonzero(np.bincount(matrix.indices, minlength=matrix.shape[1]))
    seen = matrix
    if (len(users), len(items)) != matrix.shape:
        seen = csr_matrix(matrix[users][:, items])
        seen.sort_indices()
    # BLAS threads beside the library's own double the time; one thread also fixes the order of sums.
    with threadpool_limits(1, "blas"):
        # Always a new object: fitting one again on another matrix ends the process or gives NaN.
        als = AlternatingLeastSquares(
            factors=parameters.factors,
            alpha=parameters.alpha,
            regularization=regularization,
            iterations=parameters.iterations if start is None else warm_iterations(parameters),
            num_threads=threads,
            random_state=parameters.seed,
        )
        if start is not None:
            # Copies, which the library writes to. Who is new begins at zero.
            als.user_factors, als.item_factors = start.users[users], start.items[items]
        try:
            als.fit(seen, show_progress=False)
        except ModelFitError as error:
            raise DataError(f"training gave no usable factors ({error}); raise the regularisation") from error
    factors = Factors(
        _spread(als.user_factors, users, matrix.shape[0]), _spread(als.item_factors, items, matrix.shape[1])
    )
    if not np.isfinite(factors.items).all():
        raise DataError("training gave NaN or infinite factors; raise the regularisation")
    return factors


def warm_iterations(parameters: Hyperparameters) -> int:
    """Return how many iterations follow a start from factors of nearly the same data."""
    return min(WARM_ITERATIONS, parameters.iterations)


def cold_iterations(parameters: Hyperparameters) -> int:
    """Return how many iterations come before a warm fit, so that both together are those asked for.

    Never fewer than the warm fit's own. On latest-small 12 and 3 gave 0.999 and 1.005 times the NDCG@10 of 15
    at once (two random splits); 12 alone 1.000 to 1.006 times it, and 0.991 to 0.997 times the recall@20.
    """
    return max(parameters.iterations - warm_iterations(parameters), warm_iterations(parameters))


def _spread(rows: NDArray[np.float32], places: NDArray[np.int64], size: int) -> NDArray[np.float32]:
    """Return [size, F] with ``rows`` at ``places`` and zeros elsewhere."""
    if len(rows) == size:
        return rows
    spread = np.zeros((size, rows.shape[1]), dtype=np.float32)
    spread[places] = rows
    return spread
