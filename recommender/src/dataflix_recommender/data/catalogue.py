"""The items as the model knows them: title, genres and ratings, in the order of the model's item ids."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dataflix_recommender.data.packed_strings import PackedStrings, offsets_of
from dataflix_recommender.errors import InvalidModelError

NO_YEAR = 0  # stands for a missing release year
NO_DURATION = 0  # stands for a missing running time

# The columns with one number per item; also the names of their files in the artifact.
NUMBERS = (
    "release_years",
    "ratings_counts",
    "mean_ratings",
    "bayesian_means",
    "trending_scores",
    "durations",
)
# A column that artifacts from before December 2026 lack; there it has the values of the other one.
YOUNGER_NUMBERS = {"events_counts": "ratings_counts"}


@dataclass(frozen=True, slots=True)
class Item:
    """One item. ``mean_rating`` is None while nobody has rated it; ``events_count`` counts users."""

    item_id: int
    title: str
    genres: tuple[str, ...] = ()
    release_year: int | None = None
    ratings_count: int = 0
    mean_rating: float | None = None
    bayesian_mean: float = 0.0
    trending_score: float = 0.0
    duration_minutes: int | None = None
    events_count: int = 0


@dataclass(frozen=True, slots=True)
class ItemCatalogue:
    """Columns over the I items of a model, in the order of its item ids.

    Attributes:
        titles: The titles.
        genre_names: The names that ``genre_codes`` stand for.
        genre_codes: Item ``i`` has the codes at ``genre_offsets[i]:genre_offsets[i + 1]``.
        genre_offsets: int64[I + 1].
        release_years: 0 where the year is not known.
        ratings_counts: How many users rated the item.
        mean_ratings: 0 where nobody rated the item.
        bayesian_means: The mean rating, drawn to the overall mean where ratings are few.
        trending_scores: Recent events, of which older ones count less.
        durations: In minutes, 0 where the running time is not known.
        events_counts: How many users did anything with the item.

    Raises:
        InvalidModelError: The columns do not fit together.
    """

    titles: PackedStrings
    genre_names: tuple[str, ...]
    genre_codes: NDArray[np.int16]
    genre_offsets: NDArray[np.int64]
    release_years: NDArray[np.int16]
    ratings_counts: NDArray[np.int64]
    mean_ratings: NDArray[np.float32]
    bayesian_means: NDArray[np.float32]
    trending_scores: NDArray[np.float32]
    durations: NDArray[np.int16]
    events_counts: NDArray[np.int64]

    def __post_init__(self) -> None:
        size = len(self.titles)
        for name in (*NUMBERS, *YOUNGER_NUMBERS):
            if getattr(self, name).shape != (size,):
                raise InvalidModelError(f"catalogue column {name} must have {size} values, one per title")
        for name, data, offsets in (
            ("titles", self.titles.data, self.titles.offsets),
            ("genres", self.genre_codes, self.genre_offsets),
        ):
            if (
                len(offsets) != size + 1
                or offsets[0] != 0
                or offsets[-1] != len(data)
                or np.any(np.diff(offsets) < 0)
            ):
                raise InvalidModelError(f"catalogue {name}: offsets do not cover the data")
        if np.any((self.genre_codes < 0) | (self.genre_codes >= len(self.genre_names))):
            raise InvalidModelError("catalogue genres: a code has no name")

    @classmethod
    def from_items(cls, items: Iterable[Item]) -> Self:
        """Build from items in the order of the model's item ids."""
        rows: Sequence[Item] = list(items)
        names = sorted({genre for row in rows for genre in row.genres})
        code_of = {name: code for code, name in enumerate(names)}
        return cls(
            titles=PackedStrings.from_strings([row.title for row in rows]),
            genre_names=tuple(names),
            genre_codes=np.array([code_of[genre] for row in rows for genre in row.genres], dtype=np.int16),
            genre_offsets=offsets_of(len(row.genres) for row in rows),
            release_years=np.array([row.release_year or NO_YEAR for row in rows], dtype=np.int16),
            ratings_counts=np.array([row.ratings_count for row in rows], dtype=np.int64),
            mean_ratings=np.array([row.mean_rating or 0.0 for row in rows], dtype=np.float32),
            bayesian_means=np.array([row.bayesian_mean for row in rows], dtype=np.float32),
            trending_scores=np.array([row.trending_score for row in rows], dtype=np.float32),
            durations=np.array([row.duration_minutes or NO_DURATION for row in rows], dtype=np.int16),
            events_counts=np.array([row.events_count for row in rows], dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.titles)

    @property
    def is_rated(self) -> bool:
        """Whether any item has a rating; without ratings, what people do tells what is popular."""
        return bool(self.ratings_counts.any())

    def title(self, index: int) -> str:
        """Return the title of the item at ``index``."""
        return self.titles[index]

    def genres(self, index: int) -> tuple[str, ...]:
        """Return the genres of the item at ``index``, in their original order."""
        codes = self.genre_codes[self.genre_offsets[index] : self.genre_offsets[index + 1]]
        return tuple(self.genre_names[code] for code in codes)

    def release_year(self, index: int) -> int | None:
        """Return the release year of the item at ``index``, None where it is not known."""
        year = int(self.release_years[index])
        return None if year == NO_YEAR else year

    def mean_rating(self, index: int) -> float | None:
        """Return the mean rating of the item at ``index``, None while nobody has rated it."""
        return float(self.mean_ratings[index]) if self.ratings_counts[index] else None
