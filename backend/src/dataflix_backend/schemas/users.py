"""Users."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, with_config
from typing_extensions import TypedDict

from dataflix_backend.schemas.common import STRICT, Page, PageMeta
from dataflix_backend.schemas.fields import Id, no_nul, refuse

# The lengths of the table's check constraints.
MAX_USERNAME = 64
MAX_EMAIL = 254
MAX_NAME = 100
EARLIEST_BIRTH_YEAR = 1900


def printable(text: str) -> str:
    """Refuse characters that could control a terminal or break a line."""
    if not text.isprintable():
        raise refuse("must hold only printable characters")
    return text


def _not_in_future(year: int) -> int:
    if year > datetime.now(UTC).year:
        raise refuse("must not lie in the future")
    return year


Username = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=MAX_USERNAME, pattern=r"^\S+$"),
    AfterValidator(printable),
]
Email = Annotated[
    str,
    StringConstraints(strict=True, max_length=MAX_EMAIL, pattern=r"^[^@\s]+@[^@\s]+$"),
    AfterValidator(printable),
]
Name = Annotated[str, StringConstraints(strict=True, max_length=MAX_NAME), AfterValidator(printable)]
BirthYear = Annotated[
    int, Field(strict=True, ge=EARLIEST_BIRTH_YEAR, le=2100), AfterValidator(_not_in_future)
]


class NewUser(BaseModel):
    """A user to create."""

    model_config = STRICT

    username: Annotated[Username, Field(description="Unique, ignoring the case of ASCII letters; no blanks.")]
    email: Annotated[Email, Field(description="Unique, ignoring the case of ASCII letters.")]
    first_name: Name = ""
    last_name: Name = ""
    city: Name | None = None
    state: Name | None = None
    country: Name | None = None
    birth_year: BirthYear | None = None


class UserQuery(Page):
    """Which users to list."""

    q: Annotated[
        str | None,
        AfterValidator(no_nul),
        Field(max_length=MAX_USERNAME, description="The beginning of the username, ignoring case."),
    ] = None


@with_config(STRICT)
class User(TypedDict):
    """A user, with all stored personal fields."""

    user_id: Id
    username: str
    email: str
    first_name: str
    last_name: str
    city: str | None
    state: str | None
    country: str | None
    birth_year: int | None
    ratings_count: int
    watched_count: int
    created_at: datetime
    updated_at: datetime


@with_config(STRICT)
class UserSummary(TypedDict):
    """A user in a list, with no more than is needed to choose one."""

    user_id: Id
    username: str
    ratings_count: int
    watched_count: int
    created_at: datetime


@with_config(STRICT)
class UserList(TypedDict):
    """A page of users, ordered by id."""

    data: list[UserSummary]
    meta: PageMeta
