"""Recommendations and their reasons."""

from typing import Annotated

from pydantic import BaseModel, Field, with_config
from typing_extensions import TypedDict

from dataflix_backend.schemas.common import MAX_LIMIT, STRICT
from dataflix_backend.schemas.fields import Id, Whole
from dataflix_backend.schemas.models import ModelMeta

DEFAULT_N = 10


class RecommendationQuery(BaseModel):
    """How many recommendations."""

    model_config = STRICT

    n: Annotated[int, Whole(1, MAX_LIMIT, text=True), Field(description="How many films to answer.")] = (
        DEFAULT_N
    )


@with_config(STRICT)
class Because(TypedDict):
    """A film of the user's own that speaks for a recommendation."""

    movie_id: Id
    title: str
    rating: Annotated[float | None, Field(description="Null when the film was only watched.")]
    contribution: Annotated[float, Field(description="Its part of the score.")]


@with_config(STRICT)
class Reason(TypedDict):
    """Why a film is recommended; the contributions and ``other`` add up to the score."""

    kind: str
    text: str
    because: list[Because]
    other: Annotated[float, Field(description="What all films that are not listed contribute together.")]


@with_config(STRICT)
class Recommendation(TypedDict):
    """One recommended film."""

    movie_id: Id
    title: str
    genres: list[str]
    release_year: int | None
    score: float
    rank: Annotated[int, Field(ge=1)]
    reason: Reason


@with_config(STRICT)
class RecommendationList(TypedDict):
    """Films the user has neither rated nor watched, the best first."""

    data: list[Recommendation]
    meta: ModelMeta
