"""Ratings and views."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StrictBool, with_config
from typing_extensions import TypedDict

from dataflix_backend.schemas.common import STRICT, PageMeta
from dataflix_backend.schemas.fields import Id, PastTime, Rating


class NewRating(BaseModel):
    """A rating to create or change."""

    model_config = STRICT

    user_id: Id
    movie_id: Id
    rating: Annotated[Rating, Field(description="Stars, in half steps.")]
    liked: Annotated[
        StrictBool | None,
        Field(description="Thumb up or down; null removes it, and without this field it stays as it is."),
    ] = None

    def users(self) -> list[int]:
        """Return the ids of the users that the body names."""
        return [self.user_id]


class NewWatch(BaseModel):
    """A movie to mark as watched."""

    model_config = STRICT

    user_id: Id
    movie_id: Id
    watched_at: Annotated[PastTime | None, Field(description="When; by default now.")] = None

    def users(self) -> list[int]:
        """Return the ids of the users that the body names."""
        return [self.user_id]


@with_config(STRICT)
class StoredRating(TypedDict):
    """A rating as it is stored."""

    user_id: Id
    movie_id: Id
    title: str
    rating: Rating
    liked: bool | None
    rated_at: datetime


@with_config(STRICT)
class StoredWatch(TypedDict):
    """A view as it is stored."""

    user_id: Id
    movie_id: Id
    title: str
    watched_at: datetime


@with_config(STRICT)
class RatedMovie(TypedDict):
    """A movie that a user has rated."""

    movie_id: Id
    title: str
    genres: list[str]
    release_year: int | None
    rating: Rating
    liked: bool | None
    rated_at: datetime


@with_config(STRICT)
class WatchedMovie(TypedDict):
    """A movie that a user has watched."""

    movie_id: Id
    title: str
    genres: list[str]
    release_year: int | None
    watched_at: datetime


@with_config(STRICT)
class RatingList(TypedDict):
    """A page of one user's ratings, newest first."""

    data: list[RatedMovie]
    meta: PageMeta


@with_config(STRICT)
class WatchedList(TypedDict):
    """A page of what one user has watched, newest first."""

    data: list[WatchedMovie]
    meta: PageMeta
