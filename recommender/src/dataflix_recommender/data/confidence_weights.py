"""The confidence weight of an event, as a table that travels in the artifact.

The warehouse defines the weights (``analytics.confidence_weights``). The trainer reads them from there and
stores them with the model, so serving weighs an event exactly as the training matrix did.
"""

from collections.abc import Iterable, Mapping
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dataflix_recommender.data.kind_counts import KindCounts
from dataflix_recommender.errors import InvalidHistoryError, InvalidModelError

COLUMNS = ("rating", "liked_code", "weight")
RATING_STEPS = 11  # 0 stands for "only watched", 1 to 10 for half a star to five stars
LIKED_CODES = {"unknown": 0, "liked": 1, "disliked": 2}
# The same codes by the value of an event: no thumb, thumb up, thumb down.
LIKED_CODE_OF = {None: LIKED_CODES["unknown"], True: LIKED_CODES["liked"], False: LIKED_CODES["disliked"]}

# Sums of kinds that are nearer to 0 than this are 0: kinds for and against an item cancel out. Float32, in
# which the warehouse has the weights, has six digits.
CANCELLED = 1e-6

# (rating, thumb unknown, liked, disliked): the table with dbt's default vars, for code without a warehouse. A
# test of the dbt project compares these numbers with the table that dbt builds.
_DEFAULTS = (
    (0.5, -2.0, 1.0, -2.5),
    (1.0, -1.5, 1.0, -2.0),
    (1.5, -1.0, 1.0, -1.5),
    (2.0, -0.5, 1.0, -1.0),
    (2.5, 0.25, 1.25, -0.5),
    (3.0, 1.0, 2.0, -0.5),
    (3.5, 1.5, 2.5, -0.5),
    (4.0, 2.0, 3.0, -0.5),
    (4.5, 2.5, 3.5, -0.5),
    (5.0, 3.0, 4.0, -0.5),
)
# The same as rows (rating, liked, weight). Rating 0 means that the item was only watched.
DEFAULT_WEIGHT_ROWS: tuple[tuple[float, str, float], ...] = (
    (0.0, "unknown", 0.5),
    *(
        (rating, liked, weight)
        for rating, *weights in _DEFAULTS
        for liked, weight in zip(LIKED_CODES, weights, strict=True)
    ),
)


class ConfidenceWeights:
    """A lookup table from rating and thumb to weight, and the weights of the kinds of events.

    n events of a kind weigh ``weight * log2(1 + n)``: the first one its weight, seven three times as much. An
    opinion against an item stays what it is, whatever else was done; one for it counts at least as much as
    what was done.

    Attributes:
        rows: float32[n, 3] with the columns rating (0 = only watched), liked code and weight. An event whose
            combination is absent cannot be weighed.
        kinds: The weight of one event of each kind, negative for a kind that speaks against an item.

    Raises:
        InvalidModelError: A rating is no half star, a code is unknown, a combination occurs twice, or a
            weight is 0 or not finite. An event of weight 0 would count as seen and say nothing.
    """

    def __init__(self, rows: NDArray[np.float32], kinds: Mapping[str, float] | None = None) -> None:
        if len(rows) == 0 or rows.shape != (len(rows), len(COLUMNS)):
            raise InvalidModelError(f"confidence weights must be a non-empty [n, 3] array, got {rows.shape}")
        self.rows = np.ascontiguousarray(rows, dtype=np.float32)
        self._table = np.full((RATING_STEPS, len(LIKED_CODES)), np.nan, dtype=np.float32)
        for rating, code, weight in self.rows.tolist():
            step = rating * 2
            if not (step.is_integer() and 0 <= step < RATING_STEPS and code in LIKED_CODES.values()):
                raise InvalidModelError(
                    f"confidence weight for rating {rating}, liked code {code} is unknown"
                )
            if not np.isfinite(weight) or weight == 0:
                raise InvalidModelError(f"confidence weight for rating {rating} must be finite, not {weight}")
            if not np.isnan(self._table[int(step), int(code)]):
                raise InvalidModelError(f"confidence weight for rating {rating}, code {code} is given twice")
            self._table[int(step), int(code)] = weight
        self.kinds: dict[str, float] = {name: float(weight) for name, weight in (kinds or {}).items()}
        for name, weight in self.kinds.items():
            if not name or not np.isfinite(weight) or weight == 0:
                raise InvalidModelError(f"the weight of kind {name!r} must be finite and not 0, not {weight}")

    @classmethod
    def from_rows(
        cls, rows: Iterable[tuple[float, str, float]], kinds: Mapping[str, float] | None = None
    ) -> Self:
        """Build from ``analytics.confidence_weights``: rows ``(rating, liked, weight)``, and its kinds."""
        try:
            coded = [(rating, LIKED_CODES[liked], weight) for rating, liked, weight in rows]
        except KeyError as error:
            raise InvalidModelError(f"liked must be one of {sorted(LIKED_CODES)}, got {error}") from error
        return cls(np.array(coded, dtype=np.float32).reshape(-1, 3), kinds)

    @classmethod
    def default(cls) -> Self:
        """Return the weights that dbt defines by default."""
        return cls.from_rows(DEFAULT_WEIGHT_ROWS)

    def weight(self, rating: float | None, liked: bool | None) -> float:
        """Return the weight of one event; ``rating`` None means that the item was only watched.

        Raises:
            InvalidHistoryError: The table has no such combination.
        """
        ratings = [np.nan if rating is None else rating]
        return float(self.weigh(ratings, [LIKED_CODE_OF[liked]])[0])

    def weigh(
        self, ratings: ArrayLike, liked_codes: ArrayLike, kinds: KindCounts | None = None
    ) -> NDArray[np.float32]:
        """Return the weights float32[n] of n events.

        Args:
            ratings: float[n], NaN for an item without a rating.
            liked_codes: int[n], see ``LIKED_CODES``.
            kinds: What else was done with the n items, by kind. A kind without a weight here, such as one
                that is newer than the model, does not count; an item with no other is one that was watched.

        Raises:
            InvalidHistoryError: The table has no such combination.
        """
        values = np.asarray(ratings, dtype=np.float64) * 2
        codes = np.asarray(liked_codes, dtype=np.int64)
        only_watched = np.isnan(values)
        steps = np.clip(np.where(only_watched, 0, values), 0, RATING_STEPS - 1).astype(np.int64)
        # Step 0 means "only watched": a rating of zero stars does not exist.
        possible = only_watched | ((steps == values) & (steps > 0))
        weights = np.where(possible, self._table[steps, codes], np.float32(np.nan))
        wrong = np.flatnonzero(np.isnan(weights))
        if len(wrong):
            raise InvalidHistoryError(
                f"no weight for rating {values[wrong[0]] / 2:g} with liked code {codes[wrong[0]]}: "
                "ratings go from 0.5 to 5 in half steps"
            )
        if kinds is None or not self.kinds:
            return weights
        done = self._weigh_kinds(kinds, len(weights))
        with_opinion = np.where(weights < 0, weights, np.fmax(weights, done))
        combined = np.where(np.isnan(done), weights, np.where(only_watched, done, with_opinion))
        return combined.astype(np.float32)

    def _weigh_kinds(self, kinds: "KindCounts", size: int) -> NDArray[np.float64]:
        """Return float64[n]: what was done with each item, NaN where nothing that has a weight was."""
        weights = np.array([self.kinds.get(name, np.nan) for name in kinds.names], dtype=np.float64)
        weights = weights[kinds.codes] if len(weights) else weights
        known = np.flatnonzero(~np.isnan(weights))
        places, weights = kinds.places[known], weights[known]
        total = np.bincount(places, weights * np.log2(1.0 + kinds.counts[known]), minlength=size)
        lowest = np.full(size, np.inf)
        np.minimum.at(lowest, places, weights)
        # Kinds that cancel out: what speaks against the item decides.
        total = np.where(np.abs(total) < CANCELLED, lowest, total)
        return np.where(np.isinf(lowest), np.nan, total)
