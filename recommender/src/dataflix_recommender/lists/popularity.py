"""The ranking for a user whose preferences are not known: well rated and current items, mixed by genre.

Where nobody rates, the number of users who did something with an item stands for its ratings.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataflix_recommender.data.catalogue import ItemCatalogue

# Well rated and current items count alike; nothing shows that one side is worth more.
TRENDING_SHARE = 0.5
# The part of its score that an item keeps for each better item of its genre: the eighth drama counts about
# half as much as the first. So a list of ten has several genres, and still the best of each.
KEPT_PER_RANK = 0.9


@dataclass(frozen=True, slots=True)
class Popularity:
    """How popular each item is.

    Attributes:
        blend: float32[I] in 0..1, half Bayesian mean (or number of users) and half trending score.
        mixed: float32[I], what the ranking is by: the blend, reduced for each better item of the same genres.
        is_trending: bool[I], whether the trending score is the larger part of the blend.
    """

    blend: NDArray[np.float32]
    mixed: NDArray[np.float32]
    is_trending: NDArray[np.bool_]

    @classmethod
    def from_catalogue(cls, catalogue: ItemCatalogue) -> "Popularity":
        """Blend the catalogue's Bayesian means and trending scores, each scaled to 0..1."""
        # Without ratings the Bayesian mean is the prior alone: nobody is known to like the item.
        rated = np.where(catalogue.ratings_counts > 0, catalogue.bayesian_means, 0)
        if not catalogue.is_rated:
            rated = catalogue.events_counts.astype(np.float32)
        liked = (1 - TRENDING_SHARE) * _scaled(rated)
        trending = TRENDING_SHARE * _scaled(catalogue.trending_scores)
        blend = (liked + trending).astype(np.float32)
        return cls(blend, blend * _kept(blend, catalogue), trending > liked)


def _kept(blend: NDArray[np.float32], catalogue: ItemCatalogue) -> NDArray[np.float32]:
    """Return float32[I], the part of its blend that each item keeps, averaged over its genres."""
    lengths = np.diff(catalogue.genre_offsets)
    items = np.arange(len(blend))
    # Items without a genre count as one more genre.
    without_genre = items[lengths == 0]
    owners = np.concatenate([np.repeat(items, lengths), without_genre])
    codes = np.concatenate([catalogue.genre_codes, np.full(len(without_genre), len(catalogue.genre_names))])
    best_first = np.lexsort((owners, -blend[owners], codes))
    sorted_codes = codes[best_first]
    begins = np.searchsorted(sorted_codes, sorted_codes)
    kept = np.empty(len(owners))
    kept[best_first] = KEPT_PER_RANK ** (np.arange(len(owners)) - begins)
    means = np.bincount(owners, kept, minlength=len(blend)) / np.maximum(lengths, 1)
    return means.astype(np.float32)


def _scaled(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale non-negative values so that the highest is 1."""
    highest = values.max(initial=0)
    return values / highest if highest > 0 else np.zeros_like(values)
