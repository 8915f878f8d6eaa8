"""Movies, genres and rankings."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator, with_config
from typing_extensions import TypedDict

from dataflix_backend.schemas.attributes import ATTRIBUTE_FILTER, SEVERAL, AttributesText
from dataflix_backend.schemas.common import STRICT, MovieLimit, Page, PageMeta
from dataflix_backend.schemas.fields import Id, no_nul, refuse, require_order, whole
from dataflix_backend.schemas.models import ModelMeta
from dataflix_backend.schemas.users import printable

MAX_SEARCH_LENGTH = 200
# The bounds of the table.
EARLIEST_YEAR = 1870
LATEST_YEAR = 2100
# The column's type is smallint.
MAX_MINUTES = 32_767
# The length of the table's check constraint.
MAX_TITLE = 500
# Longer than any that is real; what is longer is a mistake.
MAX_DIRECTOR = 200
MAX_GENRE_LENGTH = 100
MAX_DESCRIPTION = 5000
# MovieLens has 19 genres.
MAX_GENRES = 20
# TMDB counts in 32 bits.
MAX_TMDB_ID = 2**31 - 1

_Year = Annotated[int | None, whole(EARLIEST_YEAR, LATEST_YEAR, text=True)]
_Attribute = Annotated[AttributesText, Field(description=f"{ATTRIBUTE_FILTER} {SEVERAL}")]
_Search = Annotated[str | None, AfterValidator(no_nul)]


class MovieQuery(Page):
    """Which movies to list."""

    q: Annotated[
        _Search,
        Field(
            max_length=MAX_SEARCH_LENGTH,
            description="The beginning of words of the title, or of the title.",
        ),
    ] = None
    genre: Annotated[
        _Search, Field(max_length=MAX_SEARCH_LENGTH, description="A genre of GET /genres, ignoring case.")
    ] = None
    year_from: Annotated[_Year, Field(description="Earliest release year.")] = None
    year_to: Annotated[_Year, Field(description="Latest release year.")] = None
    attribute: _Attribute = ()

    @model_validator(mode="after")
    def _years_in_order(self) -> Self:
        require_order("year_from", self.year_from, "year_to", self.year_to)
        return self


def _each_once(genres: list[str]) -> list[str]:
    if len({genre.lower() for genre in genres}) < len(genres):
        raise refuse("must hold each genre once")
    return genres


# With a character that is no blank.
_VISIBLE = r"\S"
_Title = Annotated[
    str,
    StringConstraints(strict=True, max_length=MAX_TITLE, pattern=_VISIBLE),
    AfterValidator(printable),
]
_Director = Annotated[
    str,
    StringConstraints(strict=True, max_length=MAX_DIRECTOR, pattern=_VISIBLE),
    AfterValidator(printable),
]
# Without commas, which separate genres in a query string.
_Genre = Annotated[
    str,
    StringConstraints(strict=True, max_length=MAX_GENRE_LENGTH, pattern=r"^[^\s,]([^,]*[^\s,])?$"),
    AfterValidator(printable),
]
_Description = Annotated[
    str, StringConstraints(strict=True, max_length=MAX_DESCRIPTION), AfterValidator(no_nul)
]
_ImdbId = Annotated[str, StringConstraints(strict=True, pattern=r"^tt[0-9]{7,10}$")]


class NewMovie(BaseModel):
    """A movie to add."""

    model_config = STRICT

    title: _Title
    genres: Annotated[
        list[_Genre],
        Field(max_length=MAX_GENRES, description="A genre that no movie had before is a new one."),
        AfterValidator(_each_once),
    ] = []
    release_year: Annotated[int, whole(EARLIEST_YEAR, LATEST_YEAR)] | None = None
    director: _Director | None = None
    duration_minutes: Annotated[int, whole(1, MAX_MINUTES)] | None = None
    description: _Description | None = None
    imdb_id: _ImdbId | None = None
    tmdb_id: Annotated[int, whole(1, MAX_TMDB_ID)] | None = None
    allow_same_title: Annotated[
        bool, Field(strict=True, description="Add it although there is a movie with this title and year.")
    ] = False


class SimilarQuery(MovieLimit):
    """Which similar movies to list."""

    attribute: _Attribute = ()


class ChartQuery(Page):
    """Which movies of a chart to list."""

    attribute: _Attribute = ()


@with_config(STRICT)
class MovieSummary(TypedDict):
    """A movie in a list."""

    movie_id: Id
    title: str
    genres: list[str]
    release_year: int | None
    director: str | None
    duration_minutes: int | None


@with_config(STRICT)
class Movie(TypedDict):
    """A movie, with its current ratings."""

    movie_id: Id
    title: str
    genres: list[str]
    release_year: int | None
    director: str | None
    duration_minutes: int | None
    description: str | None
    imdb_id: str | None
    tmdb_id: int | None
    attributes: Annotated[
        dict[str, Any], Field(description="What else its source says of it; empty in our own tables.")
    ]
    ratings_count: int
    mean_rating: float | None
    created_at: datetime
    updated_at: datetime


@with_config(STRICT)
class MovieList(TypedDict):
    """A page of movies, ordered by title; with a search, the best match is first."""

    data: list[MovieSummary]
    meta: PageMeta


@with_config(STRICT)
class RankedMovie(TypedDict):
    """A movie with its place in a ranking."""

    movie_id: Id
    title: str
    genres: list[str]
    release_year: int | None
    score: Annotated[float, Field(description="The ranking orders by this; comparable within one list only.")]
    rank: Annotated[int, Field(ge=1)]


@with_config(STRICT)
class RankedList(TypedDict):
    """A ranking, best first."""

    data: list[RankedMovie]
    meta: ModelMeta


@with_config(STRICT)
class Genre(TypedDict):
    """A genre and the number of its movies."""

    genre: str
    movies_count: int


@with_config(STRICT)
class GenreMeta(TypedDict):
    """The number of genres."""

    count: int


@with_config(STRICT)
class GenreList(TypedDict):
    """All genres of the catalogue, ordered by name."""

    data: list[Genre]
    meta: GenreMeta
