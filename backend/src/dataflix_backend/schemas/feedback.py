"""What people did with the films that they were recommended."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints, with_config
from typing_extensions import TypedDict

from dataflix_backend.schemas.common import MAX_LIMIT, STRICT
from dataflix_backend.schemas.fields import Id, Whole

# An id has about 50 characters, and the registry's versions may be longer than ours.
MAX_RECOMMENDATION_ID = 200
# A list has at most MAX_LIMIT films, and each event may be told of each.
MAX_EVENTS = 4 * MAX_LIMIT

Event = Literal["shown", "clicked", "watched", "dismissed"]
Position = Annotated[int, Whole(1, MAX_LIMIT)]


class NewFeedback(BaseModel):
    """One event of one film of one list."""

    model_config = STRICT

    recommendation_id: Annotated[
        str,
        StringConstraints(strict=True, max_length=MAX_RECOMMENDATION_ID),
        Field(description="Of the list, from its meta."),
    ]
    movie_id: Id
    event: Event
    position: Annotated[Position, Field(description="The film's rank in the list.")]
    user_id: Annotated[
        Id | None,
        Field(description="Whose list it was; left out for a session. What a user dismisses is blocked."),
    ] = None

    def users(self) -> list[int]:
        """Return whose list it was, nobody for a session."""
        return [] if self.user_id is None else [self.user_id]


class FeedbackBatch(BaseModel):
    """Several events, stored together or not at all."""

    model_config = STRICT

    events: Annotated[list[NewFeedback], Field(min_length=1, max_length=MAX_EVENTS)]

    def users(self) -> list[int]:
        """Return whose lists they were."""
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
        str, Field(description="The model that made the list; empty when popularity stood in.")
    ]
    listed_at: datetime


@with_config(STRICT)
class FeedbackCount(TypedDict):
    """What became of a batch."""

    stored: Annotated[int, Field(description="Events that were new.")]
    repeated: Annotated[int, Field(description="Events that had been told before.")]
