"""Recommendations and their reasons."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, StrictBool, model_validator, with_config
from typing_extensions import TypedDict

from dataflix_backend.schemas.attributes import ATTRIBUTE_FILTER, Attributes
from dataflix_backend.schemas.common import STRICT
from dataflix_backend.schemas.fields import Id, Rating, refuse_together
from dataflix_backend.schemas.models import ModelMeta
from dataflix_backend.schemas.recommendation_params import Genres, Ids, RecommendationParams
from dataflix_recommender import Event

# Few people have rated more, and a body with this many ratings is below the limit for bodies.
MAX_SESSION_MOVIES = 1000


class RecommendationQuery(RecommendationParams):
    """What to recommend."""


class SessionRating(BaseModel):
    """A rating that is not stored."""

    model_config = STRICT

    movie_id: Id
    rating: Annotated[Rating, Field(description="Stars, in half steps.")]
    liked: Annotated[StrictBool | None, Field(description="Thumb up or down; null for neither.")] = None


class SessionRequest(RecommendationParams):
    """The events of a person without an account; nothing of it is stored."""

    ratings: Annotated[
        tuple[SessionRating, ...],
        Field(max_length=MAX_SESSION_MOVIES, description="The person's ratings; each movie once."),
    ] = ()
    watched: Annotated[
        Ids, Field(description="Movies the person has watched, by movie_id; rated movies need not be here.")
    ] = ()
    genre: Annotated[Genres, Field(description="Genres of GET /genres, ignoring case.")] = ()
    attribute: Annotated[Attributes, Field(description=ATTRIBUTE_FILTER)] = ()
    exclude: Annotated[Ids, Field(description="Movies to leave out, by movie_id.")] = ()

    @model_validator(mode="after")
    def _each_movie_rated_once(self) -> Self:
        rated = [rating.movie_id for rating in self.ratings]
        seen: set[int] = set()
        for movie in rated:
            if movie in seen:
                raise refuse_together(
                    ["ratings"], "must rate each movie once, but rate {movie} twice", movie_id=movie
                )
            seen.add(movie)
        if len(seen | set(self.watched)) > MAX_SESSION_MOVIES:
            raise refuse_together(
                ["ratings", "watched"], f"must name at most {MAX_SESSION_MOVIES} movies together"
            )
        return self

    def events(self) -> list[Event]:
        """Return the history; a movie that is both rated and watched counts as rated."""
        rated: list[Event] = [(each.movie_id, each.rating, each.liked) for each in self.ratings]
        known = {each.movie_id for each in self.ratings}
        return rated + [(movie, None, None) for movie in dict.fromkeys(self.watched) if movie not in known]


@with_config(STRICT)
class Because(TypedDict):
    """A movie of the user's history that contributes to a recommendation."""

    movie_id: Id
    title: str
    rating: Annotated[float | None, Field(description="Null when the movie was only watched.")]
    kind: Annotated[
        str | None,
        Field(description="What was done, as the source calls it; null for ratings and for views here."),
    ]
    contribution: Annotated[float, Field(description="Its part of the score.")]


@with_config(STRICT)
class Reason(TypedDict):
    """Why a movie is recommended; the contributions, ``other`` and ``popularity`` add up to the score."""

    kind: str
    text: str
    because: list[Because]
    other: Annotated[float, Field(description="The sum of all other contributions.")]
    popularity: Annotated[float, Field(description="What the movie's recent popularity adds.")]


@with_config(STRICT)
class AppliedRule(TypedDict):
    """The rule that decides about a movie's place."""

    rule_id: Id
    kind: Literal["pin", "boost", "bury"]


@with_config(STRICT)
class Recommendation(TypedDict):
    """One recommended movie."""

    movie_id: Id
    title: str
    genres: list[str]
    release_year: int | None
    score: Annotated[
        float,
        Field(description="The model's score; rerank options and rules change the order, never a score."),
    ]
    rank: Annotated[int, Field(ge=1)]
    reason: Reason
    rule: Annotated[AppliedRule | None, Field(description="Null where no rule moves the movie.")]


@with_config(STRICT)
class RecommendationMeta(ModelMeta):
    """The origin of a list of recommendations."""

    recommendation_id: Annotated[
        str,
        Field(
            description="Names this list in POST /feedback; signed for its user and its movies, and "
            "says which model made it."
        ),
    ]
    eligible: Annotated[
        int, Field(description="How many movies pass every filter and are neither seen nor blocked.")
    ]
    ignored: Annotated[
        list[int],
        Field(description="Movies of the history that the model does not know; they have no effect."),
    ]


@with_config(STRICT)
class RecommendationList(TypedDict):
    """Movies that the user has neither rated nor watched, best first."""

    data: list[Recommendation]
    meta: RecommendationMeta
