"""A person's own data, and their end."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, with_config
from typing_extensions import TypedDict

from dataflix_backend.schemas.common import STRICT
from dataflix_backend.schemas.feedback import Event, Position
from dataflix_backend.schemas.fields import Id, Rating
from dataflix_backend.schemas.users import User


@with_config(STRICT)
class ExportedRating(TypedDict):
    """A rating, with the film's title."""

    movie_id: Id
    title: str
    rating: Rating
    liked: bool | None
    rated_at: datetime
    updated_at: datetime


@with_config(STRICT)
class ExportedWatch(TypedDict):
    """A view, with the film's title."""

    movie_id: Id
    title: str
    watched_at: datetime
    updated_at: datetime


@with_config(STRICT)
class ExportedBlock(TypedDict):
    """A film that is not recommended to the person, or was not."""

    movie_id: Id
    title: str
    owner: str
    ends_at: datetime | None
    created_at: datetime


@with_config(STRICT)
class ExportedFeedback(TypedDict):
    """What the person did with a recommended film."""

    recommendation_id: str
    movie_id: Id
    title: str
    event: Event
    position: Position
    model_version: str
    listed_at: datetime
    received_at: datetime


@with_config(STRICT)
class ExportedKey(TypedDict):
    """A key of the API that is bound to the person; its secret is not stored, so it cannot be shown."""

    name: str
    scopes: list[str]
    created_at: datetime
    revoked_at: datetime | None


@with_config(STRICT)
class PersonalExport(TypedDict):
    """Everything we hold of one person, as of one moment."""

    exported_at: datetime
    user: User
    ratings: list[ExportedRating]
    watched: list[ExportedWatch]
    blocks: list[ExportedBlock]
    feedback: list[ExportedFeedback]
    api_keys: list[ExportedKey]


_NULL_BY_HAND = "null when the user was deleted by hand"


@with_config(STRICT)
class Erasure(TypedDict):
    """What was removed when; it names nobody."""

    erasure_id: Id
    requested_at: Annotated[datetime, Field(description="When everything was deleted from the database.")]
    ratings_count: Annotated[int | None, Field(description=f"Ratings deleted; {_NULL_BY_HAND}.")]
    watched_count: Annotated[int | None, Field(description=f"Views deleted; {_NULL_BY_HAND}.")]
    blocks_count: Annotated[int | None, Field(description=f"Blocks deleted; {_NULL_BY_HAND}.")]
    feedback_count: Annotated[int | None, Field(description=f"Feedback deleted; {_NULL_BY_HAND}.")]
    verified_at: Annotated[
        datetime | None,
        Field(description="When nothing was found in the warehouse any more; null until a pipeline's end."),
    ]
    warehouse_rows_count: Annotated[
        int | None, Field(description="Rows that the run removed from the warehouse, old versions included.")
    ]
    scanned_bytes_count: Annotated[
        int | None, Field(description="Bytes of the warehouse's files searched; null if out of reach.")
    ]
