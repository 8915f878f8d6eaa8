"""Ratings of any source, as columns of numbers."""

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
    """One rating per user and item, ordered by user, then item.

    Attributes:
        users: int32[n], from 0 without gaps.
        items: int32[n], from 0 without gaps.
        stars: float32[n], 0.5 to 5 in half steps.
        times: int64[n], microseconds since 1970.
        facts: about the source, for reports.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    stars: NDArray[np.float32]
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
            ConfidenceWeights.default().weigh(stars, np.zeros(len(stars), dtype=np.int64))
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
            times[last],
            facts | {"duplicates_left_out": duplicates},
        )

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
