"""Ranking rules, and movies that are blocked for one user."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator, with_config
from typing_extensions import TypedDict

from dataflix_backend.schemas.common import MAX_LIMIT, STRICT, Page, PageMeta
from dataflix_backend.schemas.fields import FutureTime, Id, no_nul, refuse_together, whole
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
    """A rule to make. It is in force from ``starts_at`` until ``ends_at``."""

    model_config = STRICT

    movie_id: Id
    kind: Annotated[
        RuleKind, Field(description="pin: at a place of the list; boost: higher up; bury: behind all others.")
    ]
    place: Annotated[
        Annotated[int | None, whole(1, MAX_LIMIT)],
        Field(description="The place in the list, for a pin; by default the first."),
    ] = None
    strength: Annotated[
        float | None,
        Field(
            gt=0,
            le=1,
            strict=True,
            description="For a boost: the part of the distance between worst and best score that is added; "
            f"by default {DEFAULT_STRENGTH}.",
        ),
    ] = None
    owner: Annotated[Owner, Field(description="Who is responsible for it: a person or a team.")]
    note: Annotated[
        str,
        StringConstraints(strict=True, max_length=MAX_NOTE),
        AfterValidator(no_nul),
        Field(description="The reason for the rule."),
    ] = ""
    starts_at: Annotated[FutureTime | None, Field(description="From when; by default now.")] = None
    ends_at: Annotated[FutureTime, Field(description="Until when.")]

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        for name, kind in (("place", "pin"), ("strength", "boost")):
            if getattr(self, name) is not None and self.kind != kind:
                raise refuse_together([name], f"belongs to a {kind} only")
        if self.starts_at is not None and self.starts_at >= self.ends_at:
            raise refuse_together(["starts_at", "ends_at"], "must be in order")
        if self.kind == "pin" and self.place is None:
            self.place = 1
        if self.kind == "boost" and self.strength is None:
            self.strength = DEFAULT_STRENGTH
        return self


class RuleQuery(Page):
    """Which rules to list."""

    state: Annotated[
        Literal["active", "all"],
        Field(description="active: in force now; all: also rules that have ended or not yet begun."),
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
    is_active: Annotated[bool, Field(description="Whether the rule is in force now.")]


@with_config(STRICT)
class RuleList(TypedDict):
    """A page of rules, ordered by their end, latest first."""

    data: list[Rule]
    meta: PageMeta


class NewBlock(BaseModel):
    """A movie to block for a user."""

    model_config = STRICT

    movie_id: Id
    owner: Annotated[Owner, Field(description="Who blocks it.")] = BLOCKED_BY_USER
    ends_at: Annotated[FutureTime | None, Field(description="Until when; by default for good.")] = None


@with_config(STRICT)
class Block(TypedDict):
    """A movie that is blocked for a user."""

    user_id: Id
    movie_id: Id
    title: str
    owner: Annotated[str, Field(description="Who blocked it; 'dismissed' when feedback did.")]
    ends_at: Annotated[datetime | None, Field(description="Null for a block without end.")]
    created_at: datetime


@with_config(STRICT)
class BlockList(TypedDict):
    """A page of a user's current blocks, newest first."""

    data: list[Block]
    meta: PageMeta
