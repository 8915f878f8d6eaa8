"""Users."""

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, with_config
from typing_extensions import TypedDict

from dataflix_backend.schemas.common import STRICT, Page, PageMeta
from dataflix_backend.schemas.fields import MAX_ID, Id, no_nul, refuse, whole_number

# The lengths of the table's check constraints.
MAX_USERNAME = 64
MAX_EMAIL = 254
MAX_NAME = 100
EARLIEST_BIRTH_YEAR = 1900


# These two prefixes tell a search by id from one by name.
ID_PREFIX, NAME_PREFIX = "id:", "name:"

# Control characters, surrogates, the separators of lines and paragraphs.
_CONTROLLING = frozenset({"Cc", "Cs", "Zl", "Zp"})
# What turns the direction of the text that follows. Marks and joiners are harmless; many scripts need them.
_BIDI_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Letters and symbols of which nothing is seen.
_FILLERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def printable(text: str) -> str:
    """Refuse characters that could control a terminal, break a line or turn the direction of text."""
    for character in text:
        if unicodedata.category(character) in _CONTROLLING or character in _BIDI_OVERRIDES:
            raise refuse(f"must hold no control characters and no bidi overrides (U+{ord(character):04X})")
    return text


def _username(text: str) -> str:
    if text.startswith((ID_PREFIX, NAME_PREFIX)):
        raise refuse(f"must not begin with {ID_PREFIX} or {NAME_PREFIX}")
    if not any(unicodedata.category(each)[0] in "LNPS" and each not in _FILLERS for each in text):
        raise refuse("must hold a visible character")
    return text


@dataclass(frozen=True, slots=True)
class UserSearch:
    """What a search for users means; at most one of these is given.

    Attributes:
        user_id: the one user with this id.
        name: the one user with this username.
        prefix: users whose usernames begin so.
    """

    user_id: int | None = None
    name: str | None = None
    prefix: str | None = None


def _search(text: str) -> str:
    if text.startswith(ID_PREFIX):
        number = whole_number(text.removeprefix(ID_PREFIX))
        if number is None or not 1 <= number <= MAX_ID:
            raise refuse(f"must have a whole number from 1 to {MAX_ID} after {ID_PREFIX}")
    if text == NAME_PREFIX:
        raise refuse(f"must have a username after {NAME_PREFIX}")
    return text


def _not_in_future(year: int) -> int:
    if year > datetime.now(UTC).year:
        raise refuse("must not lie in the future")
    return year


Username = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=MAX_USERNAME, pattern=r"^\S+$"),
    AfterValidator(printable),
    AfterValidator(_username),
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

    username: Annotated[
        Username,
        Field(description="Unique; case, width and invisible characters make no difference. No blanks."),
    ]
    email: Annotated[Email, Field(description="Unique, ignoring the case of ASCII letters.")]
    first_name: Name = ""
    last_name: Name = ""
    city: Name | None = None
    state: Name | None = None
    country: Name | None = None
    birth_year: BirthYear | None = None


class UserQuery(Page):
    """Which users to list.

    Attributes:
        HAS_USER_SEARCH: whether ``q`` may name one user by id.
    """

    HAS_USER_SEARCH: ClassVar[bool] = True

    q: Annotated[
        str | None,
        AfterValidator(no_nul),
        AfterValidator(_search),
        Field(
            max_length=MAX_USERNAME + len(NAME_PREFIX),
            description="The beginning of the username, ignoring case; who has exactly this name is first. "
            "name:TEXT finds that user alone, and id:NUMBER the user with this id.",
        ),
    ] = None

    def search(self) -> UserSearch:
        """Return what ``q`` asks for."""
        text = self.q or ""
        if text.startswith(ID_PREFIX):
            return UserSearch(user_id=int(text.removeprefix(ID_PREFIX)))
        if text.startswith(NAME_PREFIX):
            return UserSearch(name=text.removeprefix(NAME_PREFIX))
        return UserSearch(prefix=text or None)


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
    """A page of users, ordered by id; with a search, an exact match is first."""

    data: list[UserSummary]
    meta: PageMeta
