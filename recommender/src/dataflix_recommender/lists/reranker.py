"""From scores to a list: popularity and freshness, diversity, and rules for single items.

Reranking chooses places. It never changes a score or a reason.

Each option goes from 0 to 1, and at 0 it has no effect. With every option at 0 and no rule that applies, the
list is ``top_k`` of the scores, to the bit. The steps are:

1. The scores of the eligible items are scaled to 0..1 between the lowest and the highest.
2. ``popularity`` p: value = (1 - p) * value + p * popularity, the blend of Bayesian mean and trend in 0..1.
   At 0.5 both count alike. At 1 the user's preferences do not count.
3. ``freshness`` f: value = (1 - f) * value + f * recency. Recency halves with every ten years before the
   newest item of the catalogue. At 1 the newest come first, and within a year the better ones.
4. Boosts add their strength to the value. Buried items go behind all others.
5. ``diversity`` d: maximal marginal relevance (Carbonell, Goldstein, SIGIR 1998) among the best POOL items.
   Each next place goes to the item with the highest (1 - d) * value - d * similarity. The value is scaled to
   0..1 within the pool. The similarity is the greatest to an item that has a place already, half cosine of
   genres and half cosine of factors. At 1 an item only has to be unlike those above it.
6. Pinned items take their places.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dataflix_recommender.algorithms.top_k import top_k, top_k_by_value
from dataflix_recommender.data.catalogue import NO_YEAR, ItemCatalogue

RuleKind = Literal["pin", "boost", "bury"]

# Far longer than a list, so that it holds items unlike the best; short enough to compare all pairs in time.
# It is the same for every n up to it, so a shorter list is the beginning of a longer one.
POOL = 500
# The years in which freshness halves.
FRESHNESS_HALF_LIFE_YEARS = 10


@dataclass(frozen=True, slots=True)
class RerankOptions:
    """How far a list departs from pure score. Each option goes from 0 to 1.

    Attributes:
        diversity: 0: the best items, however alike; 1: each unlike those above it.
        freshness: 0: release years do not count; 1: the newest first.
        popularity: 0: the user's preferences alone; 1: popular and trending items alone.

    Raises:
        ValueError: An option is not from 0 to 1.
    """

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
    """Rules for single items, by position in the catalogue. An item has at most one rule.

    Attributes:
        pins: Pairs of place (from 1) and position.
        boosts: The strength by position.
        buried: Positions.
    """

    pins: Sequence[tuple[int, int]] = ()
    boosts: dict[int, float] = field(default_factory=dict)
    buried: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class ItemFeatures:
    """What reranking reads of the I items of a model.

    Attributes:
        catalogue: Genres and release years.
        factors: float32[I, F].
        norms: float32[I], the lengths of the rows of ``factors``.
        popularity: float32[I] in 0..1.
    """

    catalogue: ItemCatalogue
    factors: NDArray[np.float32]
    norms: NDArray[np.float32]
    popularity: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Reranker:
    """Makes lists under options and rules.

    Attributes:
        features: The items of the model.
        options: How far lists depart from pure score.
        rules: Rules for single items.
    """

    features: ItemFeatures
    options: RerankOptions
    rules: Rules

    @property
    def is_neutral(self) -> bool:
        """Whether every list is ``top_k`` of the scores."""
        return self.options == RerankOptions() and not (
            self.rules.pins or self.rules.boosts or self.rules.buried
        )

    def select(self, scores: NDArray[np.float32], n: int, allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the positions int64[min(n, allowed)] of a list, best first.

        Args:
            scores: float32[I].
            n: The length of the list, at least 1.
            allowed: bool[I], which items may be in the list.
        """
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
        """Return the positions int64[min(n, allowed)] of a list under options and boosts."""
        boosts = {at: strength for at, strength in self.rules.boosts.items() if allowed[at]}
        if self.options == RerankOptions() and not boosts:
            return top_k(scores, n, allowed)
        values = mixed(self.features, self.options, scores, allowed)
        for position, strength in boosts.items():
            values[position] += strength
        diversity = self.options.diversity
        if diversity == 0:
            return top_k_by_value(values, scores, n, allowed)
        pool = top_k_by_value(values, scores, max(n, POOL), allowed)
        places = marginal_relevance(values[pool], similarity_vectors(self.features, pool), n, diversity)
        return pool[places]


def mixed(
    features: ItemFeatures, options: RerankOptions, scores: NDArray[np.float32], allowed: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return float64[I], the scaled scores with popularity and freshness mixed in."""
    values = scaled(scores, allowed)
    values = (1 - options.popularity) * values + options.popularity * scaled(features.popularity, allowed)
    return (1 - options.freshness) * values + options.freshness * recency(features.catalogue.release_years)


def scaled(values: NDArray[Any], allowed: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """Return float64, scaled so that the allowed values are from 0 to 1; all 0 when they are equal."""
    wide = values.astype(np.float64)
    among = wide if allowed is None else wide[allowed]
    low, high = (among.min(), among.max()) if len(among) else (0.0, 0.0)
    return np.asarray((wide - low) / (high - low) if high > low else np.zeros_like(wide))


def recency(release_years: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return float64[I]: 1 for the newest year, half for every ten years before it, 0 where it is unknown."""
    years = release_years.astype(np.float64)
    ages = years.max(initial=0) - years
    return np.where(release_years == NO_YEAR, 0.0, 0.5 ** (ages / FRESHNESS_HALF_LIFE_YEARS))


def marginal_relevance(
    values: NDArray[np.float64], vectors: NDArray[np.float32], n: int, diversity: float
) -> NDArray[np.int64]:
    """Return min(n, P) places in the pool by maximal marginal relevance, the most valuable first.

    Args:
        values: float64[P], best first.
        vectors: float32[P, V], whose dot products are similarities.
        n: The length of the list.
        diversity: The weight of dissimilarity, from 0 to 1.
    """
    relevance = scaled(values)
    nearest = np.full(len(values), -np.inf)
    remaining = np.ones(len(values), dtype=np.bool_)
    chosen: list[int] = []
    for _ in range(min(n, len(values))):
        # The first choice has nothing to be compared with.
        marginal = (1 - diversity) * relevance - diversity * nearest if chosen else relevance
        best = int(np.argmax(np.where(remaining, marginal, -np.inf)))
        chosen.append(best)
        remaining[best] = False
        nearest = np.maximum(nearest, vectors @ vectors[best])
    return np.array(chosen, dtype=np.int64)


def similarity_vectors(features: ItemFeatures, pool: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return float32[P, G + F] whose dot products are half genre and half factor cosine."""
    factors = features.factors[pool] / np.where(features.norms[pool] > 0, features.norms[pool], 1)[:, None]
    genres = genre_vectors(features.catalogue, pool)
    return np.asarray(np.hstack([genres, factors]) * np.sqrt(0.5), dtype=np.float32)


def genre_vectors(catalogue: ItemCatalogue, positions: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return float32[P, G] of length 1 each, 0 for an item without genres."""
    vectors: NDArray[np.float32] = np.zeros((len(positions), len(catalogue.genre_names)), np.float32)
    for row, position in enumerate(positions.tolist()):
        start, end = catalogue.genre_offsets[position : position + 2]
        vectors[row, catalogue.genre_codes[start:end]] = 1
    lengths: NDArray[np.float32] = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)
