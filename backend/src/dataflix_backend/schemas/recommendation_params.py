"""Parameters of a list of recommendations: its length, filters, excluded movies, and rerank options."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from dataflix_backend.schemas.attributes import ATTRIBUTE_FILTER, SEVERAL, AttributesText
from dataflix_backend.schemas.common import MovieLimit
from dataflix_backend.schemas.fields import (
    MAX_ID,
    flag,
    listed,
    no_nul,
    number,
    refuse,
    require_order,
    whole,
    whole_number,
)
from dataflix_backend.schemas.movies import (
    EARLIEST_YEAR,
    LATEST_YEAR,
    MAX_GENRES,
    MAX_MINUTES,
    MAX_SEARCH_LENGTH,
)
from dataflix_recommender import Filter, RerankOptions

MAX_EXCLUDED = 1000


def _genre(value: object) -> str:
    if isinstance(value, str) and 0 < len(value) <= MAX_SEARCH_LENGTH:
        return no_nul(value)
    raise refuse(f"must hold genres of 1 to {MAX_SEARCH_LENGTH} characters")


def _movie_id_or_text(value: object) -> int:
    return _movie_id(whole_number(value) if isinstance(value, str) else value)


def _movie_id(value: object) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_ID:
        return value
    raise refuse(f"must hold ids of movies, whole numbers from 1 to {MAX_ID}")


_GENRE_SCHEMA = {"type": "string", "minLength": 1, "maxLength": MAX_SEARCH_LENGTH}
_ID_SCHEMA = {"type": "integer", "minimum": 1, "maximum": MAX_ID}

GenresText = Annotated[tuple[str, ...], listed(MAX_GENRES, _genre, _GENRE_SCHEMA, text=True)]
Genres = Annotated[tuple[str, ...], listed(MAX_GENRES, _genre, _GENRE_SCHEMA, text=False)]
IdsText = Annotated[tuple[int, ...], listed(MAX_EXCLUDED, _movie_id_or_text, _ID_SCHEMA, text=True)]
Ids = Annotated[tuple[int, ...], listed(MAX_EXCLUDED, _movie_id, _ID_SCHEMA, text=False)]

_Year = Annotated[int | None, whole(EARLIEST_YEAR, LATEST_YEAR, text=True)]
_Minutes = Annotated[int | None, whole(1, MAX_MINUTES, text=True)]
_Share = Annotated[float, number(0, 1)]


class RecommendationParams(MovieLimit):
    """What GET and POST share. Every movie of an answer passes every filter that is given."""

    genre: Annotated[GenresText, Field(description=f"Genres of GET /genres, ignoring case. {SEVERAL}")] = ()
    genre_match: Annotated[
        Literal["any", "all"], Field(description="Whether a movie must have any or all of the genres.")
    ] = "any"
    year_from: Annotated[_Year, Field(description="Earliest release year.")] = None
    year_to: Annotated[_Year, Field(description="Latest release year.")] = None
    minutes_from: Annotated[_Minutes, Field(description="Shortest running time.")] = None
    minutes_to: Annotated[_Minutes, Field(description="Longest running time.")] = None
    min_rating: Annotated[
        Annotated[float | None, number(0.5, 5)],
        Field(description="Lowest mean rating; movies without a rating are left out."),
    ] = None
    only_new: Annotated[
        Annotated[bool, flag()],
        Field(description="true: only movies that nobody had rated or watched when the model was trained."),
    ] = False
    attribute: Annotated[AttributesText, Field(description=f"{ATTRIBUTE_FILTER} {SEVERAL}")] = ()
    exclude: Annotated[IdsText, Field(description=f"Movies to leave out, by movie_id. {SEVERAL}")] = ()
    diversity: Annotated[
        _Share, Field(description="0: the best, even if all are alike; 1: each unlike those above it.")
    ] = 0.0
    freshness: Annotated[
        _Share,
        Field(description="0: years do not count; 1: newest first. Ten years make a movie half as fresh."),
    ] = 0.0
    popularity: Annotated[
        _Share,
        Field(description="0: the user's taste alone; 1: popular and trending movies, whatever the taste."),
    ] = 0.0

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        require_order("year_from", self.year_from, "year_to", self.year_to)
        require_order("minutes_from", self.minutes_from, "minutes_to", self.minutes_to)
        return self

    @property
    def filter(self) -> Filter:
        """The filters in the recommender's form."""
        return Filter(
            genres=self.genre,
            all_genres=self.genre_match == "all",
            year_from=self.year_from,
            year_to=self.year_to,
            minutes_from=self.minutes_from,
            minutes_to=self.minutes_to,
            min_rating=self.min_rating,
            only_new=self.only_new,
        )

    @property
    def rerank_options(self) -> RerankOptions:
        """The rerank options in the recommender's form."""
        return RerankOptions(self.diversity, self.freshness, self.popularity)
