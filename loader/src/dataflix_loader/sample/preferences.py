"""The model of latent preferences: which users like which movies, and which movies they choose to watch.

There are three kinds of users. The mainstream watches well-known movies and has a mild preference for some
genres. Fans mostly watch one or two genres. Explorers look for movies that few users know. Each user also has
a favourite era, and preferences for directors along a few latent dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dataflix_loader.sample.catalogue import Movie

Floats = npt.NDArray[np.float64]

# Shares of mainstream, fans and explorers.
KIND_SHARES = (0.45, 0.38, 0.17)
MAINSTREAM, FAN, EXPLORER = range(3)

# Weights of familiarity and of the user's own preference in the choice of a movie, by kind of user. For the
# mainstream, a step of familiarity weighs as much as about one standard deviation of preference; for
# explorers, nothing.
_WEIGHT_OF_FAMILIARITY = np.array([1.0, 0.7, 0.05])
_WEIGHT_OF_PREFERENCE = np.array([0.8, 1.6, 1.2])

# Extra preference for a favourite genre, in standard deviations of the other genres.
_FAVOURITE_BONUS = np.array([1.2, 4.0, 1.6])

_LATENT_DIMENSIONS = 6

# A movie this many years from the middle of the favourite era loses one standard deviation of preference.
_ERA_YEARS = 30.0

# Unrounded stars that an average movie gets from an average user who did not choose it. Users choose movies
# that suit them, so the mean of the ratings is near 3.6.
_MEAN_STARS = 3.1
_SPREAD_QUALITY, _SPREAD_GENEROSITY, _SPREAD_PREFERENCE, _SPREAD_NOISE = 0.4, 0.35, 0.65, 0.5


@dataclass(frozen=True)
class Preferences:
    """The drawn preferences.

    Attributes:
        kind: int[U], one of MAINSTREAM, FAN, EXPLORER.
        utility: float[U, M], how much a user wants to watch a movie. The largest values plus Gumbel noise are
            a draw without replacement.
        stars: float[U, M], the unrounded stars that a user would give a movie.
    """

    kind: npt.NDArray[np.int64]
    utility: Floats
    stars: Floats


def draw_preferences(movies: Sequence[Movie], n_users: int, rng: np.random.Generator) -> Preferences:
    """Draw `n_users` users and their opinion of every movie."""
    kind = rng.choice(len(KIND_SHARES), size=n_users, p=KIND_SHARES)
    preference = _standardise(
        _genre_preference(movies, kind, rng)
        + 0.5 * _era_preference(movies, n_users, rng)
        + 0.5 * _director_preference(movies, n_users, rng)
    )
    familiarity = np.array([movie.familiarity for movie in movies]) + rng.normal(0, 0.4, len(movies))
    utility = (
        _WEIGHT_OF_FAMILIARITY[kind, None] * familiarity + _WEIGHT_OF_PREFERENCE[kind, None] * preference
    )
    quality = rng.normal(0, _SPREAD_QUALITY, len(movies))
    generosity = rng.normal(0, _SPREAD_GENEROSITY, n_users)
    noise = rng.normal(0, _SPREAD_NOISE, preference.shape)
    stars = _MEAN_STARS + generosity[:, None] + quality + _SPREAD_PREFERENCE * preference + noise
    return Preferences(kind, utility, stars)


def _genre_preference(
    movies: Sequence[Movie], kind: npt.NDArray[np.int64], rng: np.random.Generator
) -> Floats:
    genres = sorted({genre for movie in movies for genre in movie.genres})
    belongs = np.array([[genre in movie.genres for genre in genres] for movie in movies], dtype=float)
    share = belongs.mean(axis=0)
    # Half of all movies are dramas: a preference for dramas says little, one for westerns a lot.
    informative = belongs / np.sqrt(share * belongs.sum(axis=1, keepdims=True))
    liking = rng.normal(0, 1, (len(kind), len(genres)))
    # The square root makes small genres favourites more often than their size alone would.
    popularity = np.sqrt(share) / np.sqrt(share).sum()
    for user, user_kind in enumerate(kind):
        favourites = rng.choice(len(genres), size=rng.integers(1, 3), replace=False, p=popularity)
        liking[user, favourites] = _FAVOURITE_BONUS[user_kind]
    return _standardise(liking @ informative.T)


def _era_preference(movies: Sequence[Movie], n_users: int, rng: np.random.Generator) -> Floats:
    years = np.array([movie.release_year for movie in movies])
    favourite = np.clip(rng.normal(1995, 18, n_users), 1940, 2020)
    return _standardise(-np.abs(years - favourite[:, None]) / _ERA_YEARS)


def _director_preference(movies: Sequence[Movie], n_users: int, rng: np.random.Generator) -> Floats:
    directors = sorted({movie.director for movie in movies})
    style = rng.normal(0, 1, (len(directors), _LATENT_DIMENSIONS))
    own = rng.normal(0, 0.5, (len(movies), _LATENT_DIMENSIONS))
    movie_style = style[[directors.index(movie.director) for movie in movies]] + own
    return _standardise(rng.normal(0, 1, (n_users, _LATENT_DIMENSIONS)) @ movie_style.T)


def _standardise(values: Floats) -> Floats:
    """Return the values of each user with mean 0 and standard deviation 1."""
    centred = values - values.mean(axis=1, keepdims=True)
    return np.asarray(centred / centred.std(axis=1, keepdims=True))
