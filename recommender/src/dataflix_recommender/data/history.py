"""What one user has watched and rated, in the form that scoring needs."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dataflix_recommender.data.confidence_weights import LIKED_CODE_OF, ConfidenceWeights
from dataflix_recommender.data.kind_counts import KindCounts
from dataflix_recommender.errors import InvalidHistoryError

Event = tuple[int, float | None, bool | None]
"""(item_id, rating or None when only watched, liked or None)."""


@dataclass(frozen=True, slots=True)
class Events:
    """The n events of one user as columns, one event per item. A worker reads and keeps thousands of these.

    Attributes:
        item_ids: int64[n].
        ratings: float32[n], NaN for an item without a rating.
        liked_codes: int8[n], see ``confidence_weights.LIKED_CODES``.
        kinds: What was done with the items besides rating and watching them; None for nothing.
        last_at: Microseconds since 1970 of the latest event; None for a user who is here now.
    """

    item_ids: NDArray[np.int64]
    ratings: NDArray[np.float32]
    liked_codes: NDArray[np.int8]
    kinds: KindCounts | None = None
    last_at: int | None = None

    @classmethod
    def from_rows(cls, rows: Iterable[Event]) -> Self:
        """Build the columns from single events."""
        events = list(rows)
        item_ids, ratings, likes = zip(*events, strict=True) if events else ((), (), ())
        codes = [LIKED_CODE_OF[liked] for liked in likes]
        # numpy reads None as NaN.
        values = np.array(ratings, dtype=np.float32)
        return cls(np.array(item_ids, dtype=np.int64), values, np.array(codes, dtype=np.int8))

    def __len__(self) -> int:
        return len(self.item_ids)


class History:
    """The n events of one user with their weights, one event per item.

    Items that the model does not know are allowed: they are never recommended and do not count.

    Attributes:
        item_ids: int64[n].
        weights: float32[n], negative for a dislike.
        ratings: float32[n], NaN for an item that was only watched.
        last_at: Microseconds since 1970 of the latest event; None for a user who is here now.

    Raises:
        InvalidHistoryError: The lengths differ, an item occurs twice, or a weight is 0 or not finite.
    """

    __slots__ = ("item_ids", "last_at", "ratings", "weights")

    def __init__(
        self,
        item_ids: ArrayLike,
        weights: ArrayLike,
        ratings: ArrayLike | None = None,
        *,
        last_at: int | None = None,
    ) -> None:
        self.last_at = last_at
        self.item_ids: NDArray[np.int64] = np.asarray(item_ids, dtype=np.int64)
        self.weights: NDArray[np.float32] = np.asarray(weights, dtype=np.float32)
        if ratings is None:
            ratings = np.full(self.item_ids.shape, np.nan)
        self.ratings: NDArray[np.float32] = np.asarray(ratings, dtype=np.float32)
        if not (self.item_ids.ndim == 1 and self.item_ids.shape == self.weights.shape == self.ratings.shape):
            raise InvalidHistoryError(
                f"item_ids, weights and ratings must have one length, got {self.item_ids.shape}, "
                f"{self.weights.shape} and {self.ratings.shape}"
            )
        ordered = np.sort(self.item_ids)
        repeated = np.flatnonzero(ordered[1:] == ordered[:-1])
        if len(repeated):
            raise InvalidHistoryError(f"item {ordered[repeated[0]]} occurs twice in one history")
        wrong = np.flatnonzero(~np.isfinite(self.weights) | (self.weights == 0))
        if len(wrong):
            raise InvalidHistoryError(
                f"item {self.item_ids[wrong[0]]} has weight {self.weights[wrong[0]]}: "
                "it must be finite and not 0"
            )

    @classmethod
    def from_events(cls, events: Events | Iterable[Event], weights: ConfidenceWeights) -> Self:
        """Look up the weight of each event.

        Raises:
            InvalidHistoryError: ``weights`` has no weight for an event; the message names the first.
        """
        columns = events if isinstance(events, Events) else Events.from_rows(events)
        weighed = weights.weigh(columns.ratings, columns.liked_codes, columns.kinds)
        return cls(columns.item_ids, weighed, columns.ratings, last_at=columns.last_at)

    def __len__(self) -> int:
        return len(self.item_ids)


EMPTY_HISTORY = History([], [], [])
