"""The hyperparameters of a fit, and their defaults.

docs/evaluation.md ("How the defaults were chosen") has the measurements behind each default.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# 64 factors lose 1 to 5 % of NDCG@10 against 128; 256 gain nothing beyond noise and fold in half as fast.
DEFAULT_FACTORS = 128
# Weights average about 2, so an event counts about 4 times an unseen item.
DEFAULT_ALPHA = 2.0
# 8, 15 and 30 differ by less than 2 % in either direction.
DEFAULT_ITERATIONS = 15
# After a start from factors of nearly the same data, 3 are as good as 15 from random ones; 1 and 2 are not.
WARM_ITERATIONS = 3
# See ``ridge``. One constant fits data sets of any size; 1.4 and 0.7 lose against 1.
DEFAULT_REGULARIZATION_SCALE = 1.0
DEFAULT_SEED = 20250101
# An event of a person who rates everything says less; 0.4 to 0.6 are alike, 0 loses 1 %.
DEFAULT_ACTIVITY_EXPONENT = 0.5
# 0.5, 0.75 and 1 are alike on MovieLens; on larger invented data 0.5 gains 1 to 2 % over 1.
DEFAULT_LINK_WEIGHT = 0.5
# The best of 50 to 400, for EASE alone as well.
DEFAULT_LINK_REGULARIZATION = 200.0
# The same as the activity exponent, for item-item weights; 0.25 and 0.5 gain 1 % over 0.
DEFAULT_LINK_ACTIVITY_EXPONENT = 0.25
# EDLAE. On MovieLens 100k and latest-small, 0 to 0.5 are alike.
DEFAULT_LINK_DROPOUT = 0.0
# The best of 7, 30 and 90 for MovieLens 100k and latest-small together.
DEFAULT_RECENT_HALF_LIFE_DAYS = 30.0
# Nothing, unless a split in time has shown what it gains: that depends on how much a catalogue is renewed.
DEFAULT_RECENT_WEIGHT = 0.0
DEFAULT_RETURNING_WEIGHT = 0.0
# A rating of 5 counts 1.2 and one of 3 counts 0.9, which gains about half a per cent.
DEFAULT_LINK_SLOPE = 0.15


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """What a fit can be asked for.

    The names that begin with ``link`` are those of the item-item weights, an EASE. They stay as they are
    because registered versions, tunings and command lines hold them.

    Attributes:
        factors: number of latent factors.
        alpha: how much confidence grows with an event's weight.
        regularization: the ridge of ALS; None means ``regularization_scale`` times the data's own.
        iterations: sweeps of ALS over both sides.
        seed: of the random start.
        regularization_scale: see ``ridge``.
        activity_exponent: lowers the confidences of users with many events; see ``ModelInfo.activity_scale``.
        link_weight: weight of the item-item part; 0 leaves it out.
        link_regularization: the ridge of EASE.
        link_activity_exponent: the same as ``activity_exponent``, for EASE.
        link_slope: how much more an event counts in EASE with a better rating.
        link_dropout: the dropout of EASE, which makes it EDLAE.
        recent_half_life_days: the age at which an event counts half in recent popularity.
        recent_weight: the strength of recent popularity for a user who is here now.
        returning_weight: what a long absence adds to that strength; see ``RecentPopularity``.
    """

    factors: int = DEFAULT_FACTORS
    alpha: float = DEFAULT_ALPHA
    regularization: float | None = None
    iterations: int = DEFAULT_ITERATIONS
    seed: int = DEFAULT_SEED
    regularization_scale: float = DEFAULT_REGULARIZATION_SCALE
    activity_exponent: float = DEFAULT_ACTIVITY_EXPONENT
    link_weight: float = DEFAULT_LINK_WEIGHT
    link_regularization: float = DEFAULT_LINK_REGULARIZATION
    link_activity_exponent: float = DEFAULT_LINK_ACTIVITY_EXPONENT
    link_slope: float = DEFAULT_LINK_SLOPE
    link_dropout: float = DEFAULT_LINK_DROPOUT
    recent_half_life_days: float = DEFAULT_RECENT_HALF_LIFE_DAYS
    recent_weight: float = DEFAULT_RECENT_WEIGHT
    returning_weight: float = DEFAULT_RETURNING_WEIGHT

    @classmethod
    def plain(cls, **given: Any) -> Self:
        """Return the parameters of ALS alone, as implicit has it: all users alike, nothing else in scores."""
        return cls(**given, activity_exponent=0.0, link_weight=0.0, recent_weight=0.0, returning_weight=0.0)

    @property
    def warm_iterations(self) -> int:
        """Number of iterations after a start from the factors of nearly the same data."""
        return min(WARM_ITERATIONS, self.iterations)

    @property
    def cold_iterations(self) -> int:
        """Number of iterations before a warm fit, so that both together are those asked for.

        Never fewer than the warm fit's own.
        """
        return max(self.iterations - self.warm_iterations, self.warm_iterations)

    def ridge(self, matrix: "csr_matrix") -> float:
        """Return the regularization for ``matrix`` [U, I]: the given one, or one scaled to the data.

        The scaled one is ``regularization_scale * alpha * (sqrt(events per user) + sqrt(events per item))``.
        ALS with equal ridges on both sides shrinks each singular value of the weighted matrix by the ridge,
        and the noise of a sparse matrix reaches up to about that sum of square roots.
        """
        if self.regularization is not None:
            return self.regularization
        import numpy as np  # noqa: PLC0415 - the command line needs the defaults of this module alone

        users = np.count_nonzero(np.diff(matrix.indptr))
        items = len(np.unique(matrix.indices))
        return (
            self.regularization_scale
            * self.alpha
            * (math.sqrt(matrix.nnz / users) + math.sqrt(matrix.nnz / items))
        )
