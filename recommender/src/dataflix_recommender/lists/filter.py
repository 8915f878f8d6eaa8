"""Which items may be recommended at all, by what the model's catalogue knows of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataflix_recommender.data.catalogue import NO_DURATION, NO_YEAR, ItemCatalogue


@dataclass(frozen=True, slots=True)
class Filter:
    """What an item must be like. None and empty values ask for nothing.

    Bounds are inclusive. An item whose year, running time or mean rating is not known does not pass a filter
    on it. Genres are compared ignoring case.

    Attributes:
        genres: An item needs one of these genres.
        all_genres: An item needs all of ``genres``.
        year_from: The earliest release year.
        year_to: The latest release year.
        minutes_from: The shortest running time.
        minutes_to: The longest running time.
        min_rating: The lowest mean rating.
        only_new: Nobody has done anything with the item yet.
    """

    genres: tuple[str, ...] = ()
    all_genres: bool = False
    year_from: int | None = None
    year_to: int | None = None
    minutes_from: int | None = None
    minutes_to: int | None = None
    min_rating: float | None = None
    only_new: bool = False

    def mask(self, catalogue: ItemCatalogue) -> NDArray[np.bool_] | None:
        """Return bool[I], True for the items that pass; None when the filter asks for nothing."""
        if self == Filter():
            return None
        passing = np.ones(len(catalogue), dtype=np.bool_)
        if self.genres:
            passing &= _of_genres(catalogue, self.genres, every=self.all_genres)
        passing &= _within(catalogue.release_years, NO_YEAR, self.year_from, self.year_to)
        passing &= _within(catalogue.durations, NO_DURATION, self.minutes_from, self.minutes_to)
        if self.min_rating is not None:
            passing &= (catalogue.ratings_counts > 0) & (catalogue.mean_ratings >= self.min_rating)
        if self.only_new:
            passing &= (catalogue.events_counts == 0) & (catalogue.ratings_counts == 0)
        return passing


def _of_genres(catalogue: ItemCatalogue, genres: tuple[str, ...], *, every: bool) -> NDArray[np.bool_]:
    wanted = {genre.casefold() for genre in genres}
    codes = [code for code, name in enumerate(catalogue.genre_names) if name.casefold() in wanted]
    owners = np.repeat(np.arange(len(catalogue)), np.diff(catalogue.genre_offsets))
    matches = np.bincount(owners[np.isin(catalogue.genre_codes, codes)], minlength=len(catalogue))
    passing: NDArray[np.bool_] = matches >= (len(wanted) if every else 1)
    return passing


def _within(values: NDArray[np.int16], unknown: int, low: int | None, high: int | None) -> NDArray[np.bool_]:
    if low is None and high is None:
        return np.ones(values.shape, dtype=np.bool_)
    inside: NDArray[np.bool_] = values != unknown
    if low is not None:
        inside &= values >= low
    if high is not None:
        inside &= values <= high
    return inside
