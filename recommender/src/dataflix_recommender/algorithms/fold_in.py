"""Fold-in: the factors of one user from present events, by the normal equations that ALS solves.

Hu, Koren, Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (2008), with the convention of
the ``implicit`` library: confidence c = alpha * weight; an event with c < 0 is a preference of 0 with
confidence abs(c). With Y the factors of all items,

    (Y'Y + regularization I + sum_j (abs(c_j) - 1) y_j y_j') x = sum_{c_j > 0} c_j y_j
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from dataflix_recommender.errors import InvalidHistoryError


@dataclass(frozen=True, slots=True)
class FoldedUser:
    """The factors of one user, and the factorised system that they solve.

    Attributes:
        factors: float32[F], zero when the user has no positive event.
        cholesky: float64[F, F], the lower triangle of the Cholesky factor; the upper one has no meaning.
        positive_factors: float32[P, F], the factors of the items of positive events.
        positive_confidences: float32[P], the confidences of these events.
    """

    factors: NDArray[np.float32]
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
    """Solve the system of one user.

    Args:
        factors: float32[n, F], the factors of the items of the user's events.
        confidences: float32[n], alpha times the weight of each event.
        gram: float64[F, F], Y'Y over all items.
        regularization: The ridge.

    Raises:
        InvalidHistoryError: The confidences are so large that the system has no solution.
    """
    system = gram + (factors.T * (np.abs(confidences) - 1)) @ factors
    system.flat[:: len(system) + 1] += regularization
    positive = confidences > 0
    positive_factors = factors[positive]
    positive_confidences = confidences[positive]
    right_side = positive_confidences @ positive_factors
    # LAPACK directly: for so small a system, the checks of scipy.linalg.cho_factor take as long as the work.
    cholesky, info = lapack.dpotrf(system.T, lower=1, clean=0, overwrite_a=1)
    if info:
        raise InvalidHistoryError(
            f"fold-in of {len(factors)} events has no solution: the system is not positive definite"
        )
    solution = _solve(cholesky, right_side.astype(np.float64))
    return FoldedUser(solution.astype(np.float32), cholesky, positive_factors, positive_confidences)


def _solve(cholesky: NDArray[np.float64], right_sides: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve A x = b for b float64[F] or [F, T]; ``cholesky`` is the lower triangle of A's factor."""
    solution: NDArray[np.float64]
    solution, _ = lapack.dpotrs(cholesky, right_sides, lower=1)
    return solution
