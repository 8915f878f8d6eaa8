"""Rankings that need no taste: what is rated best and what people turn to lately, mixed by genre."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataflix_recommender.catalogue import ItemCatalogue

# Someone new sees well-loved and current films in equal parts; neither side is known to be worth more.
TRENDING_SHARE = 0.5
# What a film keeps of its score for each better one of its genre: the eighth drama counts about half as much
# as the first. So a list of ten has several genres, and yet the best of each.
KEPT_PER_RANK = 0.9


@dataclass(frozen=True, slots=True)
class Popularity:
    """The ranking for somebody unknown.

    ``blend`` float32[I] in 0..1 is how much a film is liked and current; ``mixed`` float32[I] is what ranks:
    the blend, less for each better film of the same genres. ``is_trending`` bool[I] says which of the blend's
    two parts leads.
    """

    blend: NDArray[np.float32]
    mixed: NDArray[np.float32]
    is_trending: NDArray[np.bool_]

    @classmethod
    def of(cls, catalogue: ItemCatalogue) -> "Popularity":
        """Blend the catalogue's Bayesian means and trending scores, each scaled to 0..1."""
        # A film without ratings has only the prior as its mean: that is no sign of being liked.
        rated = np.where(catalogue.ratings_counts > 0, catalogue.bayesian_means, 0)
        liked = (1 - TRENDING_SHARE) * _scaled(rated)
        trending = TRENDING_SHARE * _scaled(catalogue.trending_scores)
        blend = (liked + trending).astype(np.float32)
        return cls(blend, blend * _kept(blend, catalogue), trending > liked)


def _kept(blend: NDArray[np.float32], catalogue: ItemCatalogue) -> NDArray[np.float32]:
    """Return float32[I], the part of its blend that each film keeps, averaged over its genres."""
    lengths = np.diff(catalogue.genre_offsets)
    films = np.arange(len(blend))
    # Films without a genre are a genre of their own.
    bare = films[lengths == 0]
    owners = np.concatenate([np.repeat(films, lengths), bare])
    codes = np.concatenate([catalogue.genre_codes, np.full(len(bare), len(catalogue.genre_names))])
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
