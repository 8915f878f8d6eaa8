"""What one user has watched and rated, in the form that scoring wants."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dataflix_recommender.errors import InvalidHistoryError
from dataflix_recommender.weights import LIKED_CODE_OF, ConfidenceWeights

Event = tuple[int, float | None, bool | None]
"""(movie_id, rating or None when only watched, liked or None)."""


@dataclass(frozen=True, slots=True)
class Events:
    """What one user said of n films, by columns: a worker reads and keeps thousands of these.

    ``movie_ids`` int64[n], ``ratings`` float32[n] (NaN = only watched), ``liked_codes`` int8[n] as in
    ``weights.LIKED_CODES``.
    """

    movie_ids: NDArray[np.int64]
    ratings: NDArray[np.float32]
    liked_codes: NDArray[np.int8]

    @classmethod
    def of(cls, events: Iterable[Event]) -> Self:
        """Put single events into columns."""
        rows = list(events)
        movie_ids, ratings, likes = zip(*rows, strict=True) if rows else ((), (), ())
        codes = [LIKED_CODE_OF[liked] for liked in likes]
        # As floats, None is NaN.
        told = np.array(ratings, dtype=np.float32)
        return cls(np.array(movie_ids, dtype=np.int64), told, np.array(codes, dtype=np.int8))

    def __len__(self) -> int:
        return len(self.movie_ids)


class History:
    """A user's events, one per film.

    ``movie_ids`` int64[n], ``weights`` float32[n], ``ratings`` float32[n] (NaN = only watched). Films unknown
    to a model may be present: they are never recommended and do not count. Raises InvalidHistoryError for
    unequal lengths, a film given twice, and weights that are zero or not finite.
    """

    __slots__ = ("movie_ids", "ratings", "weights")

    def __init__(self, movie_ids: ArrayLike, weights: ArrayLike, ratings: ArrayLike | None = None) -> None:
        self.movie_ids: NDArray[np.int64] = np.asarray(movie_ids, dtype=np.int64)
        self.weights: NDArray[np.float32] = np.asarray(weights, dtype=np.float32)
        if ratings is None:
            ratings = np.full(self.movie_ids.shape, np.nan)
        self.ratings: NDArray[np.float32] = np.asarray(ratings, dtype=np.float32)
        if not (
            self.movie_ids.ndim == 1 and self.movie_ids.shape == self.weights.shape == self.ratings.shape
        ):
            raise InvalidHistoryError(
                f"movie_ids, weights and ratings must have one length, got {self.movie_ids.shape}, "
                f"{self.weights.shape} and {self.ratings.shape}"
            )
        ordered = np.sort(self.movie_ids)
        twice = np.flatnonzero(ordered[1:] == ordered[:-1])
        if len(twice):
            raise InvalidHistoryError(f"movie {ordered[twice[0]]} stands twice in one history")
        wrong = np.flatnonzero(~np.isfinite(self.weights) | (self.weights == 0))
        if len(wrong):
            raise InvalidHistoryError(
                f"movie {self.movie_ids[wrong[0]]} has weight {self.weights[wrong[0]]}: "
                "it must be finite and not 0"
            )

    @classmethod
    def from_events(cls, events: Iterable[Event], weights: ConfidenceWeights) -> Self:
        """Weigh ``(movie_id, rating, liked)`` events; raises InvalidHistoryError naming the first bad one."""
        return cls.of(Events.of(events), weights)

    @classmethod
    def of(cls, events: Events, weights: ConfidenceWeights) -> Self:
        """Weigh events; raises InvalidHistoryError naming the first bad one."""
        return cls(events.movie_ids, weights.weigh(events.ratings, events.liked_codes), events.ratings)

    def __len__(self) -> int:
        return len(self.movie_ids)


EMPTY_HISTORY = History([], [], [])
