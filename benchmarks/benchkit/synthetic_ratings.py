"""Synthetic ratings distributed like real ones: a few movies and users make up most of them.

Popularity falls as a power of a movie's rank, and activity is a Pareto variable. Each user likes one group of
movies more than the others, so that a model has something to learn. The same seed gives the same data.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# As in MovieLens 20M: 144 ratings per user.
ROWS_PER_USER = 144
# Rank r has a probability proportional to (r + SHIFT) ** -EXPONENT: the most popular hundredth of 20,000
# movies has about a quarter of the ratings.
EXPONENT, SHIFT = 0.9, 20.0
# Tail of the activity; the cap keeps a user from rating every movie.
ACTIVITY_TAIL, ACTIVITY_CAP = 1.2, 60.0
GROUPS = 20
LOYALTY = 0.6
STARS = np.arange(0.5, 5.5, 0.5, dtype=np.float32)
STARS_SHARES = np.array([1, 3, 2, 7, 5, 20, 13, 27, 9, 13]) / 100
START_S = 1_600_000_000  # seconds since 1970; 2020-09-13
SPAN_S = 4 * 365 * 86_400


@dataclass(frozen=True, slots=True)
class Ratings:
    """One rating per user and movie, ordered by user, then movie.

    Attributes:
        users: int64[n], ids from 1.
        movies: int64[n], ids from 1.
        stars: float32[n].
        seconds: int64[n] since 1970.
        n_users: The number of users; some may have no rating.
        n_movies: The number of movies; some may have no rating.
    """

    users: NDArray[np.int64]
    movies: NDArray[np.int64]
    stars: NDArray[np.float32]
    seconds: NDArray[np.int64]
    n_users: int
    n_movies: int

    def __len__(self) -> int:
        return len(self.users)

    def taken(self, places: NDArray[np.int64]) -> "Ratings":
        """Return the ratings at these places, in that order."""
        users, movies = self.users[places], self.movies[places]
        return Ratings(users, movies, self.stars[places], self.seconds[places], self.n_users, self.n_movies)

    def save(self, file: Path) -> Path:
        """Write the ratings to a file, for a process whose measurement must not include making them."""
        np.savez(
            file, self.users, self.movies, self.stars, self.seconds, np.array([self.n_users, self.n_movies])
        )
        return file

    @classmethod
    def load(cls, file: Path) -> "Ratings":
        """Read what ``save`` wrote."""
        with np.load(file) as arrays:
            users, movies, stars, seconds, sizes = (arrays[f"arr_{number}"] for number in range(5))
        n_users, n_movies = sizes.tolist()
        return cls(users, movies, stars, seconds, n_users, n_movies)

    def in_time_order(self) -> "Ratings":
        """Return the ratings in the order in which they were given, as the application's table has them."""
        return self.taken(np.argsort(self.seconds, kind="stable"))


def users_for(rows: int) -> int:
    """Return the number of users for that many ratings."""
    return max(40, rows // ROWS_PER_USER)


def make_ratings(rows: int, *, movies: int, seed: int, users: int | None = None) -> Ratings:
    """Make exactly ``rows`` ratings.

    Raises:
        ValueError: There are fewer than three possible pairs of user and movie for each rating.
    """
    users = users or users_for(rows)
    if 3 * rows > users * movies:
        raise ValueError(f"{users} users and {movies} movies are too few for {rows} ratings")
    rng = np.random.default_rng(seed)
    popularity = _cumulative((np.arange(movies) + SHIFT) ** -EXPONENT)
    activity = _cumulative(np.minimum(rng.pareto(ACTIVITY_TAIL, users) + 1, ACTIVITY_CAP))
    keys = np.empty(0, dtype=np.int64)
    while len(keys) < rows:
        drawn = int((rows - len(keys)) * 1.3) + 100
        user = np.searchsorted(activity, rng.random(drawn))
        movie = np.searchsorted(popularity, rng.random(drawn))
        # A movie of the same popularity from the group that this user likes.
        own = movie // GROUPS * GROUPS + user % GROUPS
        movie = np.where((rng.random(drawn) < LOYALTY) & (own < movies), own, movie)
        keys = np.unique(np.concatenate((keys, user * movies + movie)))
    keys = np.sort(rng.permutation(keys)[:rows])
    # In a real catalogue, ids do not follow popularity.
    movie_ids = rng.permutation(movies) + 1
    user, movie = np.divmod(keys, movies)
    ids = movie_ids[movie]
    order = np.lexsort((ids, user))
    return Ratings(
        user[order] + 1,
        ids[order],
        rng.choice(STARS, rows, p=STARS_SHARES),
        START_S + rng.integers(0, SPAN_S, rows),
        users,
        movies,
    )


def _cumulative(weights: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return cumulative shares; the last is 1."""
    sums = np.cumsum(weights)
    return np.asarray(sums / sums[-1])
