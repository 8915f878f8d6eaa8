"""From scores to a list: popularity and freshness mixed in, diversity, and rules for single films.

Everything here chooses places, never scores: what a film's score and reason say stays what the model says.

A knob goes from 0 to 1. At 0 it has no effect at all: with every knob at 0 and no rule that applies, the list
is ``top_k`` of the scores, bit for bit. The others work in this order:

1. The scores of the films that may be shown are scaled to 0..1 between the worst and the best.
2. ``popularity`` p: value = (1 - p) * value + p * popularity, the blend of Bayesian mean and trend in 0..1.
   At 0.5 both count alike, at 1 taste does not count.
3. ``freshness`` f: value = (1 - f) * value + f * recency, where recency halves with every ten
   years before the newest film of the catalogue. At 1 the newest come first, of one year the better first.
4. Boosts add their strength to the value; buried films go behind all others.
5. ``diversity`` d: maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998) among the best POOL
   films: each next place goes to the film with the highest (1 - d) * value - d * similarity, where value is
   scaled to 0..1 within the pool and similarity is the greatest to a film placed before it, half by genres
   (cosine) and half by factors (cosine). At 1 it is unlike what stands above, whatever it is worth.
6. Pinned films take their places.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dataflix_recommender.catalogue import NO_YEAR, ItemCatalogue
from dataflix_recommender.ranking import top_k

Choose = Callable[[NDArray[np.float32], int, NDArray[np.bool_]], NDArray[np.int64]]
"""(scores float32[I], n, allowed bool[I]) -> positions int64[min(n, allowed)], best first."""

RuleKind = Literal["pin", "boost", "bury"]

# Far more than a list has, so that there is something unlike the best; few enough to compare in time.
# It does not depend on n as long as n is no larger, so a shorter list is the beginning of a longer one.
POOL = 500
# A film of ten years ago is half as fresh as one of now.
FRESHNESS_HALF_LIFE_YEARS = 10


@dataclass(frozen=True, slots=True)
class Knobs:
    """How much a list leans away from pure score; each from 0 to 1. Raises ValueError for other values."""

    diversity: float = 0.0
    freshness: float = 0.0
    popularity: float = 0.0

    def __post_init__(self) -> None:
        for name in ("diversity", "freshness", "popularity"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be from 0 to 1, got {value}")


@dataclass(frozen=True, slots=True)
class Rules:
    """What applies to single films, by position in the catalogue; a film is in one of the three.

    ``pins`` are (place from 1, position); ``boosts`` are position to strength; ``buried`` are positions.
    """

    pins: Sequence[tuple[int, int]] = ()
    boosts: dict[int, float] = field(default_factory=dict)
    buried: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Traits:
    """What the knobs look at, over the I films of a model.

    ``factors`` float32[I, F] and ``norms`` float32[I] of their rows; ``popularity`` float32[I] in 0..1.
    """

    catalogue: ItemCatalogue
    factors: NDArray[np.float32]
    norms: NDArray[np.float32]
    popularity: NDArray[np.float32]


def chooser(traits: Traits, knobs: Knobs, rules: Rules) -> Choose:
    """Return the function that fills a list under ``knobs`` and ``rules``."""
    if knobs == Knobs() and not (rules.pins or rules.boosts or rules.buried):
        return top_k
    return _Chooser(traits, knobs, rules)


@dataclass(frozen=True, slots=True)
class _Chooser:
    traits: Traits
    knobs: Knobs
    rules: Rules

    def __call__(self, scores: NDArray[np.float32], n: int, allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
        pins = [(place, position) for place, position in sorted(self.rules.pins) if allowed[position]]
        free = allowed.copy()
        free[[position for _, position in pins]] = False
        buried = np.zeros_like(free)
        buried[list(self.rules.buried)] = True
        listed = self._ranked(scores, n, free & ~buried).tolist()
        if len(listed) < n:
            listed += self._ranked(scores, n - len(listed), free & buried).tolist()
        for place, position in pins:
            listed.insert(place - 1, position)
        return np.array(listed[:n], dtype=np.int64)

    def _ranked(self, scores: NDArray[np.float32], n: int, allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the positions of min(n, allowed) films under the knobs and boosts."""
        boosts = {at: strength for at, strength in self.rules.boosts.items() if allowed[at]}
        if self.knobs == Knobs() and not boosts:
            return top_k(scores, n, allowed)
        values = mixed(self.traits, self.knobs, scores, allowed)
        for position, strength in boosts.items():
            values[position] += strength
        diversity = self.knobs.diversity
        if diversity == 0:
            return top_by_both(values, scores, n, allowed)
        pool = top_by_both(values, scores, max(n, POOL), allowed)
        places = marginal_relevance(values[pool], similarity_vectors(self.traits, pool), n, diversity)
        return pool[places]


def mixed(
    traits: Traits, knobs: Knobs, scores: NDArray[np.float32], allowed: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return float64[I], the scaled scores with popularity and freshness mixed in."""
    values = scaled(scores, allowed)
    values = (1 - knobs.popularity) * values + knobs.popularity * scaled(traits.popularity, allowed)
    return (1 - knobs.freshness) * values + knobs.freshness * recency(traits.catalogue.release_years)


def scaled(values: NDArray[Any], allowed: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """Return float64, scaled so that the allowed ones lie in 0..1; all 0 when they are equal."""
    wide = values.astype(np.float64)
    among = wide if allowed is None else wide[allowed]
    low, high = (among.min(), among.max()) if len(among) else (0.0, 0.0)
    return np.asarray((wide - low) / (high - low) if high > low else np.zeros_like(wide))


def recency(release_years: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return float64[I]: 1 for the newest year, halved every ten years before it, 0 where it is unknown."""
    years = release_years.astype(np.float64)
    ages = years.max(initial=0) - years
    return np.where(release_years == NO_YEAR, 0.0, 0.5 ** (ages / FRESHNESS_HALF_LIFE_YEARS))


def top_by_both(
    values: NDArray[np.float64], scores: NDArray[np.float32], n: int, allowed: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return the min(n, allowed) positions of highest value; equal ones by score, then by position."""
    candidates = np.flatnonzero(allowed)
    n = min(n, len(candidates))
    if n == 0:
        return np.empty(0, dtype=np.int64)
    among = values[candidates]
    threshold = np.partition(among, len(among) - n)[len(among) - n]
    best: NDArray[np.int64] = candidates[among >= threshold]
    return best[np.lexsort((-scores[best], -values[best]))][:n]


def marginal_relevance(
    values: NDArray[np.float64], vectors: NDArray[np.float32], n: int, diversity: float
) -> NDArray[np.int64]:
    """Return min(n, P) places in the pool, the first of them the most valuable.

    ``values`` float64[P] best first, ``vectors`` float32[P, V] whose dot products are similarities.
    """
    worth = scaled(values)
    nearest = np.full(len(values), -np.inf)
    left = np.ones(len(values), dtype=np.bool_)
    chosen: list[int] = []
    for _ in range(min(n, len(values))):
        # Before the first choice there is nothing to be like.
        marginal = (1 - diversity) * worth - diversity * nearest if chosen else worth
        best = int(np.argmax(np.where(left, marginal, -np.inf)))
        chosen.append(best)
        left[best] = False
        nearest = np.maximum(nearest, vectors @ vectors[best])
    return np.array(chosen, dtype=np.int64)


def similarity_vectors(traits: Traits, pool: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return float32[P, G + F] whose dot products are half genre and half factor cosine."""
    factors = traits.factors[pool] / np.where(traits.norms[pool] > 0, traits.norms[pool], 1)[:, None]
    genres = genre_vectors(traits.catalogue, pool)
    return np.asarray(np.hstack([genres, factors]) * np.sqrt(0.5), dtype=np.float32)


def genre_vectors(catalogue: ItemCatalogue, positions: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return float32[P, G] of length 1 each, 0 for a film without genres."""
    vectors: NDArray[np.float32] = np.zeros((len(positions), len(catalogue.genre_names)), np.float32)
    for row, position in enumerate(positions.tolist()):
        start, end = catalogue.genre_offsets[position : position + 2]
        vectors[row, catalogue.genre_codes[start:end]] = 1
    lengths: NDArray[np.float32] = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)
