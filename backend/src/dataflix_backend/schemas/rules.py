"""Rules for everybody's rankings, and films that one user is spared."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator, with_config
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from dataflix_backend.schemas.common import MAX_LIMIT, STRICT, Page, PageMeta
from dataflix_backend.schemas.fields import FutureTime, Id, Whole, no_nul
from dataflix_backend.schemas.users import printable

MAX_OWNER = 100
MAX_NOTE = 500
DEFAULT_STRENGTH = 0.5
BLOCKED_BY_USER = "user"

RuleKind = Literal["pin", "boost", "bury"]


Owner = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=MAX_OWNER),
    AfterValidator(printable),
]


class NewRule(BaseModel):
    """A rule to make; it is in force from ``starts_at`` and has no effect from ``ends_at`` on."""

    model_config = STRICT

    movie_id: Id
    kind: Annotated[
        RuleKind, Field(description="pin: at a place of the list; boost: higher up; bury: behind all others.")
    ]
    place: Annotated[
        Annotated[int | None, Whole(1, MAX_LIMIT)],
        Field(description="Of a pin: the place in the list; the first if left out."),
    ] = None
    strength: Annotated[
        float | None,
        Field(
            gt=0,
            le=1,
            strict=True,
            description="Of a boost: what part of the distance between worst and best score is added; "
            f"{DEFAULT_STRENGTH} if left out.",
        ),
    ] = None
    owner: Annotated[Owner, Field(description="Who answers for it: a person or a team.")]
    note: Annotated[
        str,
        StringConstraints(strict=True, max_length=MAX_NOTE),
        AfterValidator(no_nul),
        Field(description="Why there is the rule."),
    ] = ""
    starts_at: Annotated[FutureTime | None, Field(description="From when; now if left out.")] = None
    ends_at: Annotated[FutureTime, Field(description="Until when.")]

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        for name, kind in (("place", "pin"), ("strength", "boost")):
            if getattr(self, name) is not None and self.kind != kind:
                raise PydanticCustomError("kind", "is of a {kind} alone", {"fields": [name], "kind": kind})
        if self.starts_at is not None and self.starts_at >= self.ends_at:
            raise PydanticCustomError("order", "must be in order", {"fields": ["starts_at", "ends_at"]})
        if self.kind == "pin" and self.place is None:
            self.place = 1
        if self.kind == "boost" and self.strength is None:
            self.strength = DEFAULT_STRENGTH
        return self


class RuleQuery(Page):
    """Which rules to list."""

    state: Annotated[
        Literal["active", "all"],
        Field(description="active: in force now; all: also those that have ended or not yet begun."),
    ] = "active"


@with_config(STRICT)
class Rule(TypedDict):
    """A rule."""

    rule_id: Id
    movie_id: Id
    title: str
    kind: RuleKind
    place: int | None
    strength: float | None
    owner: str
    note: str
    starts_at: datetime
    ends_at: datetime
    created_at: datetime
    is_active: Annotated[bool, Field(description="Whether it is in force at this moment.")]


@with_config(STRICT)
class RuleList(TypedDict):
    """A page of rules, by their end, the latest first."""

    data: list[Rule]
    meta: PageMeta


class NewBlock(BaseModel):
    """A film that is not to be recommended to a user."""

    model_config = STRICT

    movie_id: Id
    owner: Annotated[Owner, Field(description="Who blocks it.")] = BLOCKED_BY_USER
    ends_at: Annotated[FutureTime | None, Field(description="Until when; for good if left out.")] = None


@with_config(STRICT)
class Block(TypedDict):
    """A film that is not recommended to a user."""

    user_id: Id
    movie_id: Id
    title: str
    owner: Annotated[str, Field(description="Who blocked it; 'dismissed' when feedback did.")]
    ends_at: Annotated[datetime | None, Field(description="Null until it is taken away.")]
    created_at: datetime


@with_config(STRICT)
class BlockList(TypedDict):
    """A page of the films that a user is spared at this moment, the latest first."""

    data: list[Block]
    meta: PageMeta
