"""Feedback: what people did with recommended movies."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints, with_config
from typing_extensions import TypedDict

from dataflix_backend.schemas.common import MAX_LIMIT, STRICT
from dataflix_backend.schemas.fields import Id, whole

# The id of the longest list has about 600 characters; a registry may have longer versions than ours.
MAX_RECOMMENDATION_ID = 700
# A list has at most MAX_LIMIT movies, each with up to four events.
MAX_EVENTS = 4 * MAX_LIMIT

Event = Literal["shown", "clicked", "watched", "dismissed"]
Position = Annotated[int, whole(1, MAX_LIMIT)]


class NewFeedback(BaseModel):
    """One event about one movie of one list."""

    model_config = STRICT

    recommendation_id: Annotated[
        str,
        StringConstraints(strict=True, max_length=MAX_RECOMMENDATION_ID),
        Field(description="Of the list, from its meta."),
    ]
    movie_id: Id
    event: Event
    position: Annotated[Position, Field(description="The movie's rank in the list.")]
    user_id: Annotated[
        Id | None,
        Field(
            description="The list's user; left out for a session. A movie that a user dismisses is blocked."
        ),
    ] = None

    def users(self) -> list[int]:
        """Return the ids of the users that the body names."""
        return [] if self.user_id is None else [self.user_id]


class FeedbackBatch(BaseModel):
    """Several events, stored together or not at all."""

    model_config = STRICT

    events: Annotated[list[NewFeedback], Field(min_length=1, max_length=MAX_EVENTS)]

    def users(self) -> list[int]:
        """Return the ids of the users that the body names."""
        return [user for event in self.events for user in event.users()]


@with_config(STRICT)
class StoredFeedback(TypedDict):
    """An event as it is stored."""

    recommendation_id: str
    movie_id: Id
    event: Event
    position: int
    user_id: Id | None
    model_version: Annotated[
        str, Field(description="The model that made the list; empty for the popularity fallback.")
    ]
    listed_at: datetime


@with_config(STRICT)
class FeedbackCount(TypedDict):
    """The result of a batch."""

    stored: Annotated[int, Field(description="Events that were new.")]
    repeated: Annotated[int, Field(description="Events that were stored before.")]
