"""Rankings that need no taste: what is rated best, and what people turn to lately."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataflix_recommender.catalogue import ItemCatalogue

# Someone new sees well-loved and current films in equal parts; neither side is known to be worth more.
TRENDING_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Popularity:
    """The ranking for somebody unknown.

    ``blend`` float32[I] in 0..1 is the score; ``is_trending`` bool[I] says which of its two parts leads.
    """

    blend: NDArray[np.float32]
    is_trending: NDArray[np.bool_]

    @classmethod
    def of(cls, catalogue: ItemCatalogue) -> "Popularity":
        """Blend the catalogue's Bayesian means and trending scores, each scaled to 0..1."""
        # A film without ratings has only the prior as its mean: that is no sign of being liked.
        rated = np.where(catalogue.ratings_counts > 0, catalogue.bayesian_means, 0)
        liked = (1 - TRENDING_SHARE) * _scaled(rated)
        trending = TRENDING_SHARE * _scaled(catalogue.trending_scores)
        return cls(liked + trending, trending > liked)


def _scaled(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale non-negative values so that the highest is 1."""
    highest = values.max(initial=0)
    return values / highest if highest > 0 else np.zeros_like(values)
