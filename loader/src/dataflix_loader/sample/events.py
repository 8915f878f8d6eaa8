"""Two years of watching and rating, drawn from tastes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from dataflix_loader.sample.catalogue import Film
from dataflix_loader.sample.preferences import Tastes

Ints = npt.NDArray[np.int64]

# A fixed end: the same seed gives the same data on any day. It lies at Halloween, so that what trends at the
# end (horror) is not what is popular over the two years.
LAST_DAY = datetime(2026, 10, 31, tzinfo=UTC)
N_DAYS = 730

_DAY_SECONDS = 86_400
_FIRST_EPOCH = int(LAST_DAY.timestamp()) - (N_DAYS - 1) * _DAY_SECONDS

# Films watched by a person: log-normal with this median and spread, within these bounds.
_MEDIAN_WATCHED, _SPREAD_WATCHED = 42.0, 0.75
_FEWEST_WATCHED, _MOST_WATCHED = 6, 240

# Who has an account and never watched anything: the case of somebody new.
_SHARE_NEVER_WATCHED = 0.01

# Share of a film's views in its own season (a festival, an anniversary), and how long that lasts, in days.
_SHARE_IN_SEASON = 0.35
_SEASON_DAYS = 14.0
_HORROR_SEASON_DAY = 20  # days before the last day, and a year before that

_SHARE_LEAVING = 0.3
_SHARE_THERE_AT_THE_START = 0.3
_SHARE_WHOLE_STARS = 0.35

# Who says thumb up or down beside the stars: up from 4 stars on, down up to 2.
_SHARE_THUMBS = 0.35
_THUMB_UP_HALF_STARS, _THUMB_DOWN_HALF_STARS = 8, 4


@dataclass(frozen=True)
class Events:
    """What happened, one element per view, ordered by person and time.

    Attributes:
        user: position of the person.
        film: position of the film; a person watches a film at most once.
        epoch: when, in seconds since 1970.
        half_stars: 1 to 10, or 0 for watched but not rated.
        liked: 1 liked, 0 disliked, -1 neither said.
        joined: int[U], when each person joined, before the first view.
    """

    user: Ints
    film: Ints
    epoch: Ints
    half_stars: Ints
    liked: Ints
    joined: Ints


def draw_events(films: Sequence[Film], tastes: Tastes, rng: np.random.Generator) -> Events:
    """Draw what every person watched, when, and what they said about it."""
    user, film = _choose_films(tastes, rng)
    n_users = len(tastes.kind)
    first_day = np.where(
        rng.random(n_users) < _SHARE_THERE_AT_THE_START, 0, rng.integers(0, N_DAYS - 30, n_users)
    )
    last_day = np.where(
        rng.random(n_users) < _SHARE_LEAVING, rng.integers(first_day + 15, N_DAYS), N_DAYS - 1
    )
    day = _choose_days(films, film, first_day[user], last_day[user], rng)
    # Most films are watched in the evening.
    hour = np.clip(rng.normal(20, 2.5, len(day)), 6, 23.9)
    epoch = _FIRST_EPOCH + day * _DAY_SECONDS + (hour * 3600).astype(np.int64)
    half_stars, liked = _rate(tastes, user, film, rng)
    joined = _FIRST_EPOCH + first_day * _DAY_SECONDS + rng.integers(0, 6 * 3600, n_users)
    order = np.lexsort((film, epoch, user))
    return Events(user[order], film[order], epoch[order], half_stars[order], liked[order], joined)


def _choose_films(tastes: Tastes, rng: np.random.Generator) -> tuple[Ints, Ints]:
    n_users, n_films = tastes.utility.shape
    wanted = np.exp(rng.normal(np.log(_MEDIAN_WATCHED), _SPREAD_WATCHED, n_users))
    count = np.clip(wanted, _FEWEST_WATCHED, min(_MOST_WATCHED, n_films)).astype(np.int64)
    count[rng.random(n_users) < _SHARE_NEVER_WATCHED] = 0
    ranked = np.argsort(-(tastes.utility + rng.gumbel(0, 1, tastes.utility.shape)), axis=1)
    chosen = np.arange(n_films) < count[:, None]
    return np.repeat(np.arange(n_users), count), ranked[chosen]


def _choose_days(
    films: Sequence[Film], film: Ints, first_day: Ints, last_day: Ints, rng: np.random.Generator
) -> Ints:
    season = rng.integers(0, N_DAYS, len(films))
    is_horror = np.array(["Horror" in one.genres for one in films])
    autumns = N_DAYS - 1 - _HORROR_SEASON_DAY - 365 * rng.integers(0, 2, len(films))
    centre = np.where(is_horror, autumns, season)[film]
    seasonal = np.rint(rng.normal(centre, _SEASON_DAYS)).astype(np.int64)
    anyday = rng.integers(first_day, last_day + 1)
    fits = (seasonal >= first_day) & (seasonal <= last_day)
    return np.where(fits & (rng.random(len(film)) < _SHARE_IN_SEASON), seasonal, anyday)


def _rate(tastes: Tastes, user: Ints, film: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    stars = tastes.stars[user, film]
    whole = (rng.random(len(tastes.kind)) < _SHARE_WHOLE_STARS)[user]
    rounded = np.where(whole, 2 * np.rint(stars), np.rint(2 * stars))
    half_stars = np.clip(rounded, 1, 10).astype(np.int64)
    # Strong feelings are told more often.
    is_rated = rng.random(len(user)) < 0.72 + 0.1 * np.abs(stars - 3.5).clip(max=2)
    half_stars = np.where(is_rated, half_stars, 0)
    thumb = rng.random(len(user)) < _SHARE_THUMBS
    liked = np.full(len(user), -1)
    liked[thumb & (half_stars >= _THUMB_UP_HALF_STARS)] = 1
    liked[thumb & is_rated & (half_stars <= _THUMB_DOWN_HALF_STARS)] = 0
    return half_stars, liked
