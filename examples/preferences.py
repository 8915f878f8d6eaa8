"""Who takes what: preferences of people, popularity of items, and times, the same for the same seed."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_DIMENSIONS = 8
# Relative to the spread of popularity: a person's own preference decides more than what everybody takes.
_WEIGHT_OF_PREFERENCE = 2.2
_FAVOURITE_GROUPS = 2


@dataclass(frozen=True)
class Preferences:
    """How much each person wants each item.

    Attributes:
        utility: float[P, I]; the largest values plus Gumbel noise are a draw without replacement.
        popularity: float[I]; the part of the utility that all people share.
    """

    utility: Floats
    popularity: Floats


def draw_preferences(rng: np.random.Generator, n_people: int, group_of_item: Ints) -> Preferences:
    """Draw preferences of people for items that belong to groups (categories).

    Args:
        rng: source of the random numbers.
        n_people: number of people, P.
        group_of_item: int[I], the group of each item.
    """
    n_items, n_groups = len(group_of_item), int(group_of_item.max()) + 1
    style = rng.normal(0, 1, (n_groups, _DIMENSIONS))
    items = style[group_of_item] + rng.normal(0, 0.6, (n_items, _DIMENSIONS))
    liking = np.zeros((n_people, n_groups))
    for person in range(n_people):
        favourites = rng.choice(n_groups, size=_FAVOURITE_GROUPS, replace=False)
        liking[person, favourites] = rng.uniform(0.6, 1.4, _FAVOURITE_GROUPS)
    people = liking @ style + rng.normal(0, 0.4, (n_people, _DIMENSIONS))
    preference = people @ items.T
    preference = (preference - preference.mean(axis=1, keepdims=True)) / preference.std(axis=1, keepdims=True)
    # A long tail: the item of rank r is taken about as often as 1 / r^0.6 says.
    popularity = -0.6 * np.log(1.0 + rng.permutation(n_items))
    popularity -= popularity.mean()
    return Preferences(popularity + _WEIGHT_OF_PREFERENCE * preference, popularity)


def draw_choices(rng: np.random.Generator, utility: Floats, counts: Ints) -> list[Ints]:
    """Draw `counts[p]` different items of each person, the most wanted ones most often."""
    noise = rng.gumbel(0, 1, utility.shape)
    order = np.argsort(-(utility + noise), axis=1)
    return [rng.permutation(order[person, : counts[person]]) for person in range(len(counts))]


def draw_counts(rng: np.random.Generator, n_people: int, total: int, low: int, spread: float) -> Ints:
    """Draw how much each person takes: skewed, at least `low`, `total` in all."""
    share = rng.lognormal(0, spread, n_people)
    counts = low + np.floor((total - low * n_people) * share / share.sum()).astype(np.int64)
    rest = total - int(counts.sum())
    counts[rng.choice(n_people, size=rest, replace=False)] += 1
    return np.asarray(counts, dtype=np.int64)


def draw_seconds(rng: np.random.Generator, n: int, days: int) -> Ints:
    """Draw moments in seconds from the beginning: more at the end of the period, and in the evening."""
    day = np.floor(days * rng.beta(1.6, 1.0, n)).astype(np.int64)
    hour = np.clip(rng.normal(18.5, 3.5, n), 0, 23.99)
    return np.asarray(day * 86_400 + (hour * 3600).astype(np.int64), dtype=np.int64)
