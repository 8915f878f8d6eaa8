"""The part of the score that is the same for all: how popular each item has been lately.

People who come back after weeks take more of what is new than their history tells. People in the middle of a
session take more of the same. So a user's strength of this part grows with the time since their latest event;
it is 0 in models that were not tuned on a split in time, where it cannot be measured.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataflix_recommender.errors import InvalidModelError

MICROSECONDS_PER_DAY = 86_400 * 1_000_000
# Days after which a user counts as half returned. On MovieLens 100k and latest-small the gain begins after
# a week without events and is complete after two months; 7 to 30 days are alike.
RETURN_HALF_LIFE_DAYS = 14.0


@dataclass(frozen=True, slots=True)
class RecentPopularity:
    """What recent popularity adds to scores.

    Attributes:
        values: float32[I] in 0..1, see ``recent_values``.
        weight: The strength for a user in the middle of a session.
        returning_weight: What a long absence adds to the strength, for each unit of the square root of the
            number of events: the other parts of a score grow about so with the history.
        until: Microseconds since 1970 of the latest event that was counted; absences are measured from it.

    Raises:
        InvalidModelError: A value is not finite or is negative.
    """

    values: NDArray[np.float32]
    weight: float
    returning_weight: float
    until: int

    def __post_init__(self) -> None:
        if self.values.ndim != 1 or self.values.dtype != np.float32:
            raise InvalidModelError("recent popularity must be float32[I]")
        if not np.isfinite(self.values).all() or np.any(self.values < 0):
            raise InvalidModelError("recent popularity holds negative, NaN or infinite values")
        for name in ("weight", "returning_weight"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise InvalidModelError(f"recent popularity: {name} must be a number from 0, got {value}")

    @classmethod
    def empty(cls, items: int) -> "RecentPopularity":
        """Return the part of a model of ``items`` items in which popularity adds nothing."""
        return cls(np.zeros(items, dtype=np.float32), 0.0, 0.0, 0)

    def __len__(self) -> int:
        return len(self.values)

    def strengths(
        self, events: NDArray[np.int64], last_at: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Return the strength of each of U users, float32[U].

        Args:
            events: int64[U], the number of events of each user that the model knows.
            last_at: int64[U], microseconds of each user's latest event; None for users who are here now.
        """
        if last_at is None:
            return np.full(len(events), self.weight, dtype=np.float32)
        absence = np.maximum(self.until - last_at, 0) / MICROSECONDS_PER_DAY
        returned = 1 - np.exp2(-absence / RETURN_HALF_LIFE_DAYS)
        return np.asarray(self.weight + self.returning_weight * np.sqrt(events) * returned, dtype=np.float32)


def recent_values(
    items: NDArray[np.integer], times: NDArray[np.int64], size: int, *, half_life_days: float
) -> NDArray[np.float32]:
    """Return log(1 + events) of each item, older events counting less, scaled to at most 1, float32[I].

    Args:
        items: int[n], the item of each event.
        times: int64[n], microseconds since 1970. The latest is the present.
        size: The number of items I.
        half_life_days: The age at which an event counts half.
    """
    age = (times.max(initial=0) - times) / MICROSECONDS_PER_DAY
    counted = np.log1p(np.bincount(items, weights=np.exp2(-age / half_life_days), minlength=size))
    highest = counted.max(initial=0)
    return (counted / highest if highest > 0 else counted).astype(np.float32)
