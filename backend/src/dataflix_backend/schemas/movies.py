"""Films and what is like them."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator, with_config
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from dataflix_backend.schemas.common import MAX_LIMIT, STRICT, Page, PageMeta
from dataflix_backend.schemas.fields import Id, Whole, no_nul
from dataflix_backend.schemas.models import ModelMeta

MAX_SEARCH_LENGTH = 200
# The table's own bounds.
EARLIEST_YEAR = 1870
LATEST_YEAR = 2100
DEFAULT_SIMILAR = 10

_Year = Annotated[int | None, Whole(EARLIEST_YEAR, LATEST_YEAR, text=True)]
_Search = Annotated[str | None, AfterValidator(no_nul)]


class MovieQuery(Page):
    """Which films to list."""

    q: Annotated[
        _Search,
        Field(
            max_length=MAX_SEARCH_LENGTH,
            description="What words of the title, or the title, begin with.",
        ),
    ] = None
    genre: Annotated[
        _Search, Field(max_length=MAX_SEARCH_LENGTH, description="A genre of GET /genres, ignoring case.")
    ] = None
    year_from: Annotated[_Year, Field(description="Earliest release year.")] = None
    year_to: Annotated[_Year, Field(description="Latest release year.")] = None

    @model_validator(mode="after")
    def _years_in_order(self) -> Self:
        if self.year_from is not None and self.year_to is not None and self.year_from > self.year_to:
            raise PydanticCustomError(
                "order",
                "must be in order: year_from {year_from} lies after year_to {year_to}",
                {"fields": ["year_from", "year_to"], "year_from": self.year_from, "year_to": self.year_to},
            )
        return self


class SimilarQuery(BaseModel):
    """How many similar films."""

    model_config = STRICT

    n: Annotated[int, Whole(1, MAX_LIMIT, text=True), Field(description="How many films to answer.")] = (
        DEFAULT_SIMILAR
    )


@with_config(STRICT)
class MovieSummary(TypedDict):
    """A film in a list."""

    movie_id: Id
    title: str
    genres: list[str]
    release_year: int | None
    director: str | None
    duration_minutes: int | None


@with_config(STRICT)
class Movie(TypedDict):
    """A film, with how it is rated at this moment."""

    movie_id: Id
    title: str
    genres: list[str]
    release_year: int | None
    director: str | None
    duration_minutes: int | None
    description: str | None
    imdb_id: str | None
    tmdb_id: int | None
    ratings_count: int
    mean_rating: float | None
    created_at: datetime
    updated_at: datetime


@with_config(STRICT)
class MovieList(TypedDict):
    """A page of films: by title, the best match first when a search is given."""

    data: list[MovieSummary]
    meta: PageMeta


@with_config(STRICT)
class RankedMovie(TypedDict):
    """A film with its place in a ranking."""

    movie_id: Id
    title: str
    genres: list[str]
    release_year: int | None
    score: Annotated[float, Field(description="What the ranking is by; comparable within one list only.")]
    rank: Annotated[int, Field(ge=1)]


@with_config(STRICT)
class RankedList(TypedDict):
    """A ranking, the best first."""

    data: list[RankedMovie]
    meta: ModelMeta


@with_config(STRICT)
class Genre(TypedDict):
    """A genre and how many films have it."""

    genre: str
    movies_count: int


@with_config(STRICT)
class GenreMeta(TypedDict):
    """How many genres there are."""

    count: int


@with_config(STRICT)
class GenreList(TypedDict):
    """Every genre of the catalogue, by name."""

    data: list[Genre]
    meta: GenreMeta
