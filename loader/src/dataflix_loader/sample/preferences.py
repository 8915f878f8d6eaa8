"""The latent-taste model: who likes what, and who comes to watch what.

Three kinds of people exist. The mainstream watches what everybody knows and leans mildly to some genres; fans
watch one or two genres above all; explorers look for films that few know. On top of genres a person has a
favourite era, and a liking for directors that lies along a few hidden directions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dataflix_loader.sample.catalogue import Film

Floats = npt.NDArray[np.float64]

# Shares of mainstream, fans and explorers.
KIND_SHARES = (0.45, 0.38, 0.17)
MAINSTREAM, FAN, EXPLORER = range(3)

# How strongly each kind follows what is well known, and its own taste, when it chooses what to watch. A step
# of familiarity is worth about one standard deviation of taste to the mainstream and nothing to explorers.
_FOLLOWS_FAMILIARITY = np.array([1.0, 0.7, 0.05])
_FOLLOWS_TASTE = np.array([0.8, 1.6, 1.2])

# Liking of a favourite genre above all others, in standard deviations of the other genres.
_FAVOURITE_BONUS = np.array([1.2, 4.0, 1.6])

_HIDDEN_DIRECTIONS = 6

# A film this many years from the middle of somebody's favourite era loses one standard deviation of taste.
_ERA_YEARS = 30.0

# Stars, unrounded, that an average film gets from an average person who did not choose it. What people choose
# suits them better than that: the mean of the ratings given comes out near 3.6.
_MEAN_STARS = 3.1
_SPREAD_QUALITY, _SPREAD_GENEROSITY, _SPREAD_TASTE, _SPREAD_NOISE = 0.4, 0.35, 0.65, 0.5


@dataclass(frozen=True)
class Tastes:
    """What was drawn.

    Attributes:
        kind: int[U], one of MAINSTREAM, FAN, EXPLORER.
        utility: float[U, F], how much a person wants to watch a film; adding Gumbel noise and taking the
            largest draws films without replacement.
        stars: float[U, F], how good a person would find a film, unrounded.
    """

    kind: npt.NDArray[np.int64]
    utility: Floats
    stars: Floats


def draw_tastes(films: Sequence[Film], n_users: int, rng: np.random.Generator) -> Tastes:
    """Draw `n_users` people and what they think of every film."""
    kind = rng.choice(len(KIND_SHARES), size=n_users, p=KIND_SHARES)
    taste = _standardised(
        _genre_taste(films, kind, rng)
        + 0.5 * _era_taste(films, n_users, rng)
        + 0.5 * _director_taste(films, n_users, rng)
    )
    familiarity = np.array([film.familiarity for film in films]) + rng.normal(0, 0.4, len(films))
    utility = _FOLLOWS_FAMILIARITY[kind, None] * familiarity + _FOLLOWS_TASTE[kind, None] * taste
    quality = rng.normal(0, _SPREAD_QUALITY, len(films))
    generosity = rng.normal(0, _SPREAD_GENEROSITY, n_users)
    noise = rng.normal(0, _SPREAD_NOISE, taste.shape)
    stars = _MEAN_STARS + generosity[:, None] + quality + _SPREAD_TASTE * taste + noise
    return Tastes(kind, utility, stars)


def _genre_taste(films: Sequence[Film], kind: npt.NDArray[np.int64], rng: np.random.Generator) -> Floats:
    genres = sorted({genre for film in films for genre in film.genres})
    belongs = np.array([[genre in film.genres for genre in genres] for film in films], dtype=float)
    share = belongs.mean(axis=0)
    # Half of all films are dramas: liking drama says little, liking westerns a lot.
    informative = belongs / np.sqrt(share * belongs.sum(axis=1, keepdims=True))
    liking = rng.normal(0, 1, (len(kind), len(genres)))
    # The root makes small genres favourites more often than their size alone would.
    popularity = np.sqrt(share) / np.sqrt(share).sum()
    for user, user_kind in enumerate(kind):
        favourites = rng.choice(len(genres), size=rng.integers(1, 3), replace=False, p=popularity)
        liking[user, favourites] = _FAVOURITE_BONUS[user_kind]
    return _standardised(liking @ informative.T)


def _era_taste(films: Sequence[Film], n_users: int, rng: np.random.Generator) -> Floats:
    years = np.array([film.release_year for film in films])
    favourite = np.clip(rng.normal(1995, 18, n_users), 1940, 2020)
    return _standardised(-np.abs(years - favourite[:, None]) / _ERA_YEARS)


def _director_taste(films: Sequence[Film], n_users: int, rng: np.random.Generator) -> Floats:
    directors = sorted({film.director for film in films})
    style = rng.normal(0, 1, (len(directors), _HIDDEN_DIRECTIONS))
    own = rng.normal(0, 0.5, (len(films), _HIDDEN_DIRECTIONS))
    film_style = style[[directors.index(film.director) for film in films]] + own
    return _standardised(rng.normal(0, 1, (n_users, _HIDDEN_DIRECTIONS)) @ film_style.T)


def _standardised(values: Floats) -> Floats:
    """Return each person's values with mean 0 and standard deviation 1."""
    centred = values - values.mean(axis=1, keepdims=True)
    return np.asarray(centred / centred.std(axis=1, keepdims=True))
