"""Ratings of any source, as columns of whole numbers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataflix_recommender import ConfidenceWeights, InvalidHistoryError
from dataflix_trainer.errors import DataError

# Ids up to this many times their number are counted in a table of that size.
DENSE = 10


@dataclass(frozen=True, slots=True)
class Ratings:
    """One rating per user and film, ordered by user, then film.

    ``users`` and ``items`` int32[n] are numbers from 0 without gaps, ``stars`` float32[n] 0.5 to 5 in half
    steps, ``times`` int64[n] microseconds since 1970. ``facts`` is what is worth knowing of the source.
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
        """Order them; of two ratings of one film by one user the latest counts, as in the import.

        Raises DataError when there is none, or a rating that has no weight.
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
            numbered(users[last]),
            numbered(items[last]),
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
        """Return the rows that are chosen, users and items numbered anew; raises DataError when none is."""
        if not rows.any():
            raise DataError(f"{self.facts.get('source')}: no rating is left after the protocol's filters")
        return Ratings(
            numbered(self.users[rows]),
            numbered(self.items[rows]),
            self.stars[rows],
            self.times[rows],
            self.facts,
        )


def numbered(ids: NDArray[Any]) -> NDArray[np.int32]:
    """Return int32[n]: each id's place among the different ids, ascending."""
    if ids.dtype.kind == "i" and ids.min() >= 0 and ids.max() < DENSE * len(ids):
        # Without sorting: tens of millions of ids take a second and not a minute.
        there = np.zeros(int(ids.max()) + 1, dtype=np.bool_)
        there[ids] = True
        number: NDArray[np.int32] = np.cumsum(there, dtype=np.int32) - np.int32(1)
        numbers: NDArray[np.int32] = number[ids]
        return numbers
    return np.unique(ids, return_inverse=True)[1].astype(np.int32)
