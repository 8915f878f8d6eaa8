"""Recommendations and their reasons."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, StrictBool, model_validator, with_config
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from dataflix_backend.schemas.common import STRICT
from dataflix_backend.schemas.fields import Id, Rating
from dataflix_backend.schemas.models import ModelMeta
from dataflix_backend.schemas.wishes import Genres, Ids, Wishes
from dataflix_recommender import Event

# Few people have rated more; the body of as many ratings fits the limit of every body.
MAX_SESSION_FILMS = 1000


class RecommendationQuery(Wishes):
    """What to recommend."""


class SessionRating(BaseModel):
    """A rating that is not stored."""

    model_config = STRICT

    movie_id: Id
    rating: Annotated[Rating, Field(description="Stars, in half steps.")]
    liked: Annotated[StrictBool | None, Field(description="Thumb up or down; null for neither.")] = None


class SessionRequest(Wishes):
    """Somebody we know nothing of but what is told here; nothing of it is stored."""

    ratings: Annotated[
        tuple[SessionRating, ...],
        Field(max_length=MAX_SESSION_FILMS, description="What the person thinks of films; each film once."),
    ] = ()
    watched: Annotated[
        Ids, Field(description="Films the person has watched, by movie_id; those rated need not be here.")
    ] = ()
    genre: Annotated[Genres, Field(description="Genres of GET /genres, ignoring case.")] = ()
    exclude: Annotated[Ids, Field(description="Films to leave out, by movie_id.")] = ()

    @model_validator(mode="after")
    def _each_film_rated_once(self) -> Self:
        rated = [rating.movie_id for rating in self.ratings]
        seen: set[int] = set()
        for movie in rated:
            if movie in seen:
                raise PydanticCustomError(
                    "twice",
                    "must rate each film once, but rate {movie} twice",
                    {"fields": ["ratings"], "movie": movie},
                )
            seen.add(movie)
        if len(seen | set(self.watched)) > MAX_SESSION_FILMS:
            raise PydanticCustomError(
                "many",
                "must name at most {most} films together",
                {"fields": ["ratings", "watched"], "most": MAX_SESSION_FILMS},
            )
        return self

    def events(self) -> list[Event]:
        """What is told as a history; a film both rated and watched counts as rated."""
        rated: list[Event] = [(film.movie_id, film.rating, film.liked) for film in self.ratings]
        known = {film.movie_id for film in self.ratings}
        return rated + [(movie, None, None) for movie in dict.fromkeys(self.watched) if movie not in known]


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
class AppliedRule(TypedDict):
    """The rule that decides on a film's place."""

    rule_id: Id
    kind: Literal["pin", "boost", "bury"]


@with_config(STRICT)
class Recommendation(TypedDict):
    """One recommended film."""

    movie_id: Id
    title: str
    genres: list[str]
    release_year: int | None
    score: Annotated[
        float, Field(description="The model's; knobs and rules choose places and leave scores alone.")
    ]
    rank: Annotated[int, Field(ge=1)]
    reason: Reason
    rule: Annotated[AppliedRule | None, Field(description="Null where no rule moves the film.")]


@with_config(STRICT)
class RecommendationMeta(ModelMeta):
    """Who made a list of recommendations, and from what."""

    recommendation_id: Annotated[
        str,
        Field(description="Names this list in POST /feedback; signed, and says which model made it."),
    ]
    eligible: Annotated[
        int, Field(description="How many films passed every filter, seen and blocked ones left out.")
    ]
    ignored: Annotated[
        list[int],
        Field(description="Films of the history that the model does not know: they say nothing."),
    ]


@with_config(STRICT)
class RecommendationList(TypedDict):
    """Films the user has neither rated nor watched, the best first."""

    data: list[Recommendation]
    meta: RecommendationMeta
