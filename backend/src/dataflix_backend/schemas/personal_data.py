"""A person's own data, and its erasure."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, with_config
from typing_extensions import TypedDict

from dataflix_backend.schemas.common import STRICT
from dataflix_backend.schemas.feedback import Event, Position
from dataflix_backend.schemas.fields import Id, Rating
from dataflix_backend.schemas.users import User


@with_config(STRICT)
class ExportedRating(TypedDict):
    """A rating, with the movie's title."""

    movie_id: Id
    title: str
    rating: Rating
    liked: bool | None
    rated_at: datetime
    updated_at: datetime


@with_config(STRICT)
class ExportedWatch(TypedDict):
    """A view, with the movie's title."""

    movie_id: Id
    title: str
    watched_at: datetime
    updated_at: datetime


@with_config(STRICT)
class ExportedBlock(TypedDict):
    """A movie that is blocked for the person, or was."""

    movie_id: Id
    title: str
    owner: str
    ends_at: datetime | None
    created_at: datetime


@with_config(STRICT)
class ExportedFeedback(TypedDict):
    """What the person did with a recommended movie."""

    recommendation_id: str
    movie_id: Id
    title: str
    event: Event
    position: Position
    model_version: str
    listed_at: datetime
    received_at: datetime


@with_config(STRICT)
class ExportedInteraction(TypedDict):
    """What the person did with an item in the application that our tables are a copy of."""

    movie_id: Id
    title: str
    attributes: Annotated[dict[str, Any], Field(description="Of the item.")]
    kind: Annotated[str, Field(description="What was done, in the source's words.")]
    events_count: Annotated[int, Field(description="How often it counts.")]
    first_at: datetime
    last_at: datetime
    rating: Annotated[float | None, Field(description="Of an opinion: its stars.")]
    liked: Annotated[bool | None, Field(description="Of an opinion: its thumb.")]


@with_config(STRICT)
class ExportedKey(TypedDict):
    """An API key that is bound to the person. Its secret is not stored, so it cannot be shown."""

    name: str
    scopes: list[str]
    created_at: datetime
    revoked_at: datetime | None


@with_config(STRICT)
class PersonalExport(TypedDict):
    """Everything that is stored of one person, as of one moment."""

    exported_at: datetime
    user: User
    ratings: list[ExportedRating]
    watched: list[ExportedWatch]
    blocks: list[ExportedBlock]
    feedback: list[ExportedFeedback]
    interactions: Annotated[
        list[ExportedInteraction], Field(description="Empty in our own tables, which have no source.")
    ]
    api_keys: list[ExportedKey]


_NULL_BY_HAND = "null if the user was deleted directly in the database"


@with_config(STRICT)
class Erasure(TypedDict):
    """What was removed, and when. It names no person."""

    erasure_id: Id
    requested_at: Annotated[datetime, Field(description="When everything was deleted from the database.")]
    ratings_count: Annotated[int | None, Field(description=f"Ratings deleted; {_NULL_BY_HAND}.")]
    watched_count: Annotated[int | None, Field(description=f"Views deleted; {_NULL_BY_HAND}.")]
    blocks_count: Annotated[int | None, Field(description=f"Blocks deleted; {_NULL_BY_HAND}.")]
    feedback_count: Annotated[int | None, Field(description=f"Feedback deleted; {_NULL_BY_HAND}.")]
    interactions_count: Annotated[
        int | None,
        Field(
            description=f"Events of the source deleted here, one for each movie and kind; {_NULL_BY_HAND}."
        ),
    ]
    verified_at: Annotated[
        datetime | None,
        Field(description="When nothing was left in the warehouse; null until the next pipeline run ends."),
    ]
    warehouse_rows_count: Annotated[
        int | None, Field(description="Rows that the run removed from the warehouse, with old versions.")
    ]
    scanned_bytes_count: Annotated[
        int | None,
        Field(
            description="Bytes of the warehouse's files that were searched; null if they were out of reach."
        ),
    ]
