"""Invented ratings with the shape of real ones: a few films and people make up most of them.

Popularity falls off as a power of a film's rank, and activity is a Pareto variable. People like one group of
films more than the others, so that a model has something to learn. The same numbers give the same data.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# As in MovieLens 20M: 144 ratings per user.
ROWS_PER_USER = 144
# Rank r is chosen in proportion to (r + SHIFT) ** -EXPONENT: the leading hundredth of 20,000 films then has
# about a quarter of the ratings.
EXPONENT, SHIFT = 0.9, 20.0
# Tail of the activity; the cap keeps one person from rating every film.
ACTIVITY_TAIL, ACTIVITY_CAP = 1.2, 60.0
GROUPS = 20
LOYALTY = 0.6
STARS = np.arange(0.5, 5.5, 0.5, dtype=np.float32)
STARS_SHARES = np.array([1, 3, 2, 7, 5, 20, 13, 27, 9, 13]) / 100
START_S = 1_600_000_000  # seconds since 1970; 2020-09-13
SPAN_S = 4 * 365 * 86_400


@dataclass(frozen=True, slots=True)
class Ratings:
    """One rating per user and film, ordered by user, then film.

    ``users`` and ``films`` int64[n] are ids from 1, ``stars`` float32[n], ``seconds`` int64[n] since 1970;
    ``n_users`` and ``n_films`` tell how many there could be.
    """

    users: NDArray[np.int64]
    films: NDArray[np.int64]
    stars: NDArray[np.float32]
    seconds: NDArray[np.int64]
    n_users: int
    n_films: int

    def __len__(self) -> int:
        return len(self.users)

    def taken(self, places: NDArray[np.int64]) -> "Ratings":
        """Return those at the given places, in that order."""
        users, films = self.users[places], self.films[places]
        return Ratings(users, films, self.stars[places], self.seconds[places], self.n_users, self.n_films)

    def save(self, file: Path) -> Path:
        """Write them for a process that is to be measured without the making of its data."""
        np.savez(
            file, self.users, self.films, self.stars, self.seconds, np.array([self.n_users, self.n_films])
        )
        return file

    @classmethod
    def load(cls, file: Path) -> "Ratings":
        """Read what ``save`` wrote."""
        with np.load(file) as arrays:
            users, films, stars, seconds, sizes = (arrays[f"arr_{number}"] for number in range(5))
        n_users, n_films = sizes.tolist()
        return cls(users, films, stars, seconds, n_users, n_films)

    def in_time_order(self) -> "Ratings":
        """Return them as an application's table holds them: in the order in which they were given."""
        return self.taken(np.argsort(self.seconds, kind="stable"))


def users_for(rows: int) -> int:
    """Return how many users give that many ratings."""
    return max(40, rows // ROWS_PER_USER)


def make_ratings(rows: int, *, films: int, seed: int, users: int | None = None) -> Ratings:
    """Invent exactly ``rows`` ratings.

    Raises ValueError when users and films allow fewer than three times as many pairs.
    """
    users = users or users_for(rows)
    if 3 * rows > users * films:
        raise ValueError(f"{users} users and {films} films are too few for {rows} ratings")
    rng = np.random.default_rng(seed)
    popularity = _cumulative((np.arange(films) + SHIFT) ** -EXPONENT)
    activity = _cumulative(np.minimum(rng.pareto(ACTIVITY_TAIL, users) + 1, ACTIVITY_CAP))
    keys = np.empty(0, dtype=np.int64)
    while len(keys) < rows:
        drawn = int((rows - len(keys)) * 1.3) + 100
        user = np.searchsorted(activity, rng.random(drawn))
        film = np.searchsorted(popularity, rng.random(drawn))
        # A film of the same popularity from the group that this person likes.
        own = film // GROUPS * GROUPS + user % GROUPS
        film = np.where((rng.random(drawn) < LOYALTY) & (own < films), own, film)
        keys = np.unique(np.concatenate((keys, user * films + film)))
    keys = np.sort(rng.permutation(keys)[:rows])
    # Neighbours in popularity are no neighbours in a real catalogue.
    film_ids = rng.permutation(films) + 1
    user, film = np.divmod(keys, films)
    ids = film_ids[film]
    order = np.lexsort((ids, user))
    return Ratings(
        user[order] + 1,
        ids[order],
        rng.choice(STARS, rows, p=STARS_SHARES),
        START_S + rng.integers(0, SPAN_S, rows),
        users,
        films,
    )


def _cumulative(weights: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return cumulative shares whose last one is above every random number below 1."""
    sums = np.cumsum(weights)
    return np.asarray(sums / sums[-1])
