"""Ratings and other events of any source, as columns of numbers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataflix_recommender import ConfidenceWeights, InvalidHistoryError
from dataflix_trainer.errors import DataError

# Ids below this many times their number are factorized with a table instead of a sort.
DENSE = 10


@dataclass(frozen=True, slots=True)
class Ratings:
    """One rating per user and item, or what was done without one, ordered by user, then item.

    Attributes:
        users: int32[n], from 0 without gaps.
        items: int32[n], from 0 without gaps.
        stars: float32[n], 0.5 to 5 in half steps; NaN where nobody rates.
        weights: float32[n], the confidence weights.
        times: int64[n], microseconds since 1970.
        facts: about the source, for reports.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    stars: NDArray[np.float32]
    weights: NDArray[np.float32]
    times: NDArray[np.int64]
    facts: dict[str, Any]

    @classmethod
    def from_columns(
        cls,
        users: NDArray[np.int64],
        items: NDArray[np.int64],
        stars: NDArray[np.float32],
        times: NDArray[np.int64],
        facts: dict[str, Any],
    ) -> "Ratings":
        """Sort the ratings; of several ratings of one item by one user the latest counts.

        Raises:
            DataError: there is no rating, or one that has no weight.
        """
        if len(users) == 0:
            raise DataError(f"{facts.get('source')} holds no rating")
        try:
            weights = ConfidenceWeights.default().weigh(stars, np.zeros(len(stars), dtype=np.int64))
        except InvalidHistoryError as error:
            raise DataError(f"{facts.get('source')}: {error}") from error
        order = np.lexsort((times, items, users))
        users, items, stars, times = users[order], items[order], stars[order], times[order]
        last = np.append((np.diff(users) != 0) | (np.diff(items) != 0), True)
        duplicates = int(np.count_nonzero(~last))
        return cls(
            factorize(users[last]),
            factorize(items[last]),
            stars[last],
            weights[order][last],
            times[last],
            facts | {"duplicates_left_out": duplicates},
        )

    @classmethod
    def from_events(
        cls,
        users: NDArray[np.int64],
        items: NDArray[np.int64],
        counts: NDArray[np.float32],
        times: NDArray[np.int64],
        facts: dict[str, Any],
    ) -> "Ratings":
        """Add up events without opinions: n of one user and item weigh log2(1 + n), as in the warehouse.

        Raises:
            DataError: there is no event, or a count is not above 0.
        """
        if len(users) == 0:
            raise DataError(f"{facts.get('source')} holds no event")
        wrong = ~(np.isfinite(counts) & (counts > 0))
        if wrong.any():
            raise DataError(f"{facts.get('source')}: a count must be above 0, not {counts[wrong][0]:g}")
        order = np.lexsort((times, items, users))
        users, items, counts, times = users[order], items[order], counts[order], times[order]
        last = np.append((np.diff(users) != 0) | (np.diff(items) != 0), True)
        ends = np.flatnonzero(last)
        totals = np.diff(np.concatenate(([0.0], np.cumsum(counts, dtype=np.float64)[ends])))
        return cls(
            factorize(users[last]),
            factorize(items[last]),
            np.full(len(ends), np.nan, dtype=np.float32),
            np.log2(1 + totals).astype(np.float32),
            times[last],
            facts | {"events": len(users)},
        )

    def at_least(self, stars: float) -> NDArray[np.bool_]:
        """Return bool[n], which ratings have so many stars; of events without opinions all count."""
        return np.isnan(self.stars) | (self.stars >= stars)

    def __len__(self) -> int:
        return len(self.users)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of users and of items."""
        return int(self.users.max()) + 1, int(self.items.max()) + 1

    def chosen(self, rows: NDArray[np.bool_]) -> "Ratings":
        """Return the chosen ratings, with users and items factorized again.

        Args:
            rows: bool[n], which ratings to keep.

        Raises:
            DataError: none is chosen.
        """
        if not rows.any():
            raise DataError(f"{self.facts.get('source')}: no rating is left after the protocol's filters")
        return Ratings(
            factorize(self.users[rows]),
            factorize(self.items[rows]),
            self.stars[rows],
            self.weights[rows],
            self.times[rows],
            self.facts,
        )


def factorize(ids: NDArray[Any]) -> NDArray[np.int32]:
    """Return int32[n]: the position of each id among the different ids, ascending."""
    if ids.dtype.kind == "i" and ids.min() >= 0 and ids.max() < DENSE * len(ids):
        # No sort: tens of millions of ids take a second and not a minute.
        is_used = np.zeros(int(ids.max()) + 1, dtype=np.bool_)
        is_used[ids] = True
        code_of: NDArray[np.int32] = np.cumsum(is_used, dtype=np.int32) - np.int32(1)
        codes: NDArray[np.int32] = code_of[ids]
        return codes
    return np.unique(ids, return_inverse=True)[1].astype(np.int32)
