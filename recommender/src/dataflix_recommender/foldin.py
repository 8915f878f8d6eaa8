"""Fold-in: a user's factors from present events, by the normal equations that ALS itself solves.

Hu, Koren, Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (2008), with the convention of
the ``implicit`` library: confidence c = alpha * weight; an event with c < 0 is a preference of 0 held with
confidence abs(c). With Y the item factors of all items,

    (Y'Y + regularization I + sum_j (abs(c_j) - 1) y_j y_j') x = sum_{c_j > 0} c_j y_j
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from dataflix_recommender.errors import InvalidHistoryError


@dataclass(frozen=True, slots=True)
class FoldedUser:
    """A user's factors and the factorised system they came from.

    ``factor`` float32[F]; it is zero when the user has no positive event. ``cholesky`` float64[F, F] is the
    lower triangle of the system's; what stands above it means nothing. ``positive_factors`` float32[P, F]
    and ``positive_confidences`` float32[P] are those of the events with positive confidence.
    """

    factor: NDArray[np.float32]
    cholesky: NDArray[np.float64]
    positive_factors: NDArray[np.float32]
    positive_confidences: NDArray[np.float32]

    def contributions(self, target_factors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return float64[T, P]: how much each positive event adds to the score of each target item.

        ``target_factors`` is float32[T, F]. A row sums to that item's score.
        """
        weighted = _solve(self.cholesky, target_factors.T.astype(np.float64))
        products: NDArray[np.float64] = weighted.T @ self.positive_factors.T.astype(np.float64)
        return products * self.positive_confidences


def fold_in(
    factors: NDArray[np.float32],
    confidences: NDArray[np.float32],
    gram: NDArray[np.float64],
    regularization: float,
) -> FoldedUser:
    """Solve for one user.

    ``factors`` float32[n, F] are those of the user's items, ``confidences`` float32[n] alpha times weight,
    ``gram`` float64[F, F] is Y'Y over all items. Raises InvalidHistoryError when the confidences are so large
    that the system cannot be solved.
    """
    system = gram + (factors.T * (np.abs(confidences) - 1)) @ factors
    system.flat[:: len(system) + 1] += regularization
    positive = confidences > 0
    positive_factors = factors[positive]
    positive_confidences = confidences[positive]
    right_side = positive_confidences @ positive_factors
    # LAPACK itself: for a system this small, scipy's own function around it takes as long as the work.
    cholesky, info = lapack.dpotrf(system.T, lower=1, clean=0, overwrite_a=1)
    if info:
        raise InvalidHistoryError(
            f"fold-in of {len(factors)} events has no solution: the system is not positive definite"
        )
    solution = _solve(cholesky, right_side.astype(np.float64))
    return FoldedUser(solution.astype(np.float32), cholesky, positive_factors, positive_confidences)


def _solve(cholesky: NDArray[np.float64], right_sides: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return x of A x = b, float64[F] or [F, T] as b is; A is given by its Cholesky's lower triangle."""
    solution: NDArray[np.float64]
    solution, _ = lapack.dpotrs(cholesky, right_sides, lower=1)
    return solution
