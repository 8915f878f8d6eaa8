"""Two years of views and ratings, drawn from the preferences."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from dataflix_loader.sample.catalogue import Movie
from dataflix_loader.sample.preferences import Preferences

Ints = npt.NDArray[np.int64]

# A fixed end, so that the same seed gives the same data on any day. It is Halloween, so that the movies that
# trend at the end (horror) are not the popular ones of the two years.
LAST_DAY = datetime(2026, 10, 31, tzinfo=UTC)
N_DAYS = 730

_DAY_SECONDS = 86_400
_FIRST_EPOCH = int(LAST_DAY.timestamp()) - (N_DAYS - 1) * _DAY_SECONDS

# Movies that a user watches: log-normal with this median and spread, within these limits.
_MEDIAN_WATCHED, _SPREAD_WATCHED = 42.0, 0.75
_MIN_WATCHED, _MAX_WATCHED = 6, 240

# Users with an account who never watched anything: the case of a new user.
_SHARE_NEVER_WATCHED = 0.01

# Share of a movie's views in its own season (a festival, an anniversary), and the season's standard deviation
# in days.
_SHARE_IN_SEASON = 0.35
_SEASON_DAYS = 14.0
_HORROR_SEASON_DAY = 20  # days before the last day, and a year before that

_SHARE_INACTIVE_LATER = 0.3
_SHARE_JOINED_BEFORE = 0.3
_SHARE_WHOLE_STARS = 0.35

# Share of views with a thumb up or down in addition to stars: up from 4 stars on, down up to 2.
_SHARE_THUMBS = 0.35
_THUMB_UP_HALF_STARS, _THUMB_DOWN_HALF_STARS = 8, 4


@dataclass(frozen=True)
class Events:
    """All views, one element each, ordered by user and time.

    Attributes:
        user: position of the user.
        movie: position of the movie; a user watches a movie at most once.
        epoch: time, in seconds since 1970.
        half_stars: 1 to 10, or 0 for watched but not rated.
        liked: 1 for a thumb up, 0 for a thumb down, -1 for neither.
        joined: int[U], the time at which each user joined, before the first view.
    """

    user: Ints
    movie: Ints
    epoch: Ints
    half_stars: Ints
    liked: Ints
    joined: Ints


def draw_events(movies: Sequence[Movie], preferences: Preferences, rng: np.random.Generator) -> Events:
    """Draw the views of every user, with times, stars and thumbs."""
    user, movie = _choose_movies(preferences, rng)
    n_users = len(preferences.kind)
    first_day = np.where(rng.random(n_users) < _SHARE_JOINED_BEFORE, 0, rng.integers(0, N_DAYS - 30, n_users))
    last_day = np.where(
        rng.random(n_users) < _SHARE_INACTIVE_LATER, rng.integers(first_day + 15, N_DAYS), N_DAYS - 1
    )
    day = _choose_days(movies, movie, first_day[user], last_day[user], rng)
    # Most movies are watched in the evening.
    hour = np.clip(rng.normal(20, 2.5, len(day)), 6, 23.9)
    epoch = _FIRST_EPOCH + day * _DAY_SECONDS + (hour * 3600).astype(np.int64)
    half_stars, liked = _rate(preferences, user, movie, rng)
    joined = _FIRST_EPOCH + first_day * _DAY_SECONDS + rng.integers(0, 6 * 3600, n_users)
    order = np.lexsort((movie, epoch, user))
    return Events(user[order], movie[order], epoch[order], half_stars[order], liked[order], joined)


def _choose_movies(preferences: Preferences, rng: np.random.Generator) -> tuple[Ints, Ints]:
    n_users, n_movies = preferences.utility.shape
    wanted = np.exp(rng.normal(np.log(_MEDIAN_WATCHED), _SPREAD_WATCHED, n_users))
    count = np.clip(wanted, _MIN_WATCHED, min(_MAX_WATCHED, n_movies)).astype(np.int64)
    count[rng.random(n_users) < _SHARE_NEVER_WATCHED] = 0
    ranked = np.argsort(-(preferences.utility + rng.gumbel(0, 1, preferences.utility.shape)), axis=1)
    chosen = np.arange(n_movies) < count[:, None]
    return np.repeat(np.arange(n_users), count), ranked[chosen]


def _choose_days(
    movies: Sequence[Movie], movie: Ints, first_day: Ints, last_day: Ints, rng: np.random.Generator
) -> Ints:
    season = rng.integers(0, N_DAYS, len(movies))
    is_horror = np.array(["Horror" in one.genres for one in movies])
    autumns = N_DAYS - 1 - _HORROR_SEASON_DAY - 365 * rng.integers(0, 2, len(movies))
    centre = np.where(is_horror, autumns, season)[movie]
    seasonal = np.rint(rng.normal(centre, _SEASON_DAYS)).astype(np.int64)
    anyday = rng.integers(first_day, last_day + 1)
    fits = (seasonal >= first_day) & (seasonal <= last_day)
    return np.where(fits & (rng.random(len(movie)) < _SHARE_IN_SEASON), seasonal, anyday)


def _rate(preferences: Preferences, user: Ints, movie: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    stars = preferences.stars[user, movie]
    whole = (rng.random(len(preferences.kind)) < _SHARE_WHOLE_STARS)[user]
    rounded = np.where(whole, 2 * np.rint(stars), np.rint(2 * stars))
    half_stars = np.clip(rounded, 1, 10).astype(np.int64)
    # Users rate more often when they feel strongly.
    is_rated = rng.random(len(user)) < 0.72 + 0.1 * np.abs(stars - 3.5).clip(max=2)
    half_stars = np.where(is_rated, half_stars, 0)
    thumb = rng.random(len(user)) < _SHARE_THUMBS
    liked = np.full(len(user), -1)
    liked[thumb & (half_stars >= _THUMB_UP_HALF_STARS)] = 1
    liked[thumb & is_rated & (half_stars <= _THUMB_DOWN_HALF_STARS)] = 0
    return half_stars, liked
