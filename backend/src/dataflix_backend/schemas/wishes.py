"""What a list of recommendations should be like: filters, films to leave out, and knobs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, GetJsonSchemaHandler, ValidationInfo, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from dataflix_backend.schemas.common import MAX_LIMIT, STRICT
from dataflix_backend.schemas.fields import MAX_ID, Number, Whole, is_json, no_nul, refuse, whole_number
from dataflix_backend.schemas.movies import EARLIEST_YEAR, LATEST_YEAR, MAX_SEARCH_LENGTH
from dataflix_recommender import Filter, RerankOptions

DEFAULT_N = 10
# MovieLens knows 19 genres; a longer list is a mistake.
MAX_GENRES = 20
MAX_EXCLUDED = 1000
# The column's type is smallint.
MAX_MINUTES = 32_767

_MORE = "Several are separated by commas."


@dataclass(frozen=True)
class Listed:
    """Several values: separated by commas in a query string, an array in JSON."""

    high: int
    item: Callable[[object], Any]
    schema: dict[str, Any]
    text: bool

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], CoreSchema]) -> CoreSchema:
        """Validate by our own rule."""
        return core_schema.with_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the rule."""
        return (
            {"type": "string"}
            if self.text
            else {"type": "array", "items": self.schema, "maxItems": self.high}
        )

    def _validate(self, value: object, info: ValidationInfo) -> tuple[Any, ...]:
        values = value
        if isinstance(value, str) and not is_json(info):
            values = [part.strip() for part in value.split(",")]
        if not isinstance(values, list):
            raise refuse("must be an array")
        if len(values) > self.high:
            raise refuse(f"must hold at most {self.high}")
        return tuple(self.item(part) for part in values)


def _genre(value: object) -> str:
    if isinstance(value, str) and 0 < len(value) <= MAX_SEARCH_LENGTH:
        return no_nul(value)
    raise refuse(f"must hold genres of 1 to {MAX_SEARCH_LENGTH} characters")


def movie_id(value: object) -> int:
    """Return a film's id, also from its digits; refuses what cannot be one."""
    number = whole_number(value) if isinstance(value, str) else value
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= MAX_ID:
        return number
    raise refuse(f"must hold ids of films, whole numbers from 1 to {MAX_ID}")


def _movie_id(value: object) -> int:
    return movie_id(None if isinstance(value, str) else value)


_GENRE_SCHEMA = {"type": "string", "minLength": 1, "maxLength": MAX_SEARCH_LENGTH}
_ID_SCHEMA = {"type": "integer", "minimum": 1, "maximum": MAX_ID}

GenresText = Annotated[tuple[str, ...], Listed(MAX_GENRES, _genre, _GENRE_SCHEMA, text=True)]
Genres = Annotated[tuple[str, ...], Listed(MAX_GENRES, _genre, _GENRE_SCHEMA, text=False)]
IdsText = Annotated[tuple[int, ...], Listed(MAX_EXCLUDED, movie_id, _ID_SCHEMA, text=True)]
Ids = Annotated[tuple[int, ...], Listed(MAX_EXCLUDED, _movie_id, _ID_SCHEMA, text=False)]

_Year = Annotated[int | None, Whole(EARLIEST_YEAR, LATEST_YEAR, text=True)]
_Minutes = Annotated[int | None, Whole(1, MAX_MINUTES, text=True)]
_Knob = Annotated[float, Number(0, 1)]


class Wishes(BaseModel):
    """What GET and POST share; every film of an answer passes every filter that is given."""

    model_config = STRICT

    n: Annotated[int, Whole(1, MAX_LIMIT, text=True), Field(description="How many films to answer.")] = (
        DEFAULT_N
    )
    genre: Annotated[GenresText, Field(description=f"Genres of GET /genres, ignoring case. {_MORE}")] = ()
    genre_match: Annotated[
        Literal["any", "all"], Field(description="Whether a film must have any one of the genres or all.")
    ] = "any"
    year_from: Annotated[_Year, Field(description="Earliest release year.")] = None
    year_to: Annotated[_Year, Field(description="Latest release year.")] = None
    minutes_from: Annotated[_Minutes, Field(description="Shortest running time.")] = None
    minutes_to: Annotated[_Minutes, Field(description="Longest running time.")] = None
    min_rating: Annotated[
        Annotated[float | None, Number(0.5, 5)],
        Field(description="Lowest mean rating; films that nobody has rated are left out."),
    ] = None
    exclude: Annotated[IdsText, Field(description=f"Films to leave out, by movie_id. {_MORE}")] = ()
    diversity: Annotated[
        _Knob, Field(description="0: the best, however alike; 1: each unlike those above it.")
    ] = 0.0
    freshness: Annotated[
        _Knob,
        Field(description="0: years do not count; 1: newest first. Ten years make a film half as fresh."),
    ] = 0.0
    popularity: Annotated[
        _Knob,
        Field(description="0: taste alone; 1: what is popular and trending, whatever the taste."),
    ] = 0.0

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        for name, low, high in (
            ("year", self.year_from, self.year_to),
            ("minutes", self.minutes_from, self.minutes_to),
        ):
            if low is not None and high is not None and low > high:
                raise PydanticCustomError(
                    "order",
                    "must be in order: {low} lies above {high}",
                    {"fields": [f"{name}_from", f"{name}_to"], "low": low, "high": high},
                )
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
        )

    @property
    def knobs(self) -> RerankOptions:
        """The knobs in the recommender's form."""
        return RerankOptions(self.diversity, self.freshness, self.popularity)
