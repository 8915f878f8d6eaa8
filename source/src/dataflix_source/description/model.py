"""What a description may say."""

from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from dataflix_source.description.references import ColumnName, Reference, TableName

# The columns that our own table of users has for a person, and what becomes of each on its way.
PERSON_ATTRIBUTES = {
    "username": "pseudonym",
    "email": "pseudonym",
    "first_name": "initial",
    "last_name": "initial",
    "city": "place",
    "state": "place",
    "country": "place",
    "birth_year": "year",
}
# What our own table of movies has; other attributes go into one column of any kind.
ITEM_COLUMNS = ("release_year", "director", "duration_minutes", "description")


class Masking(StrEnum):
    """What becomes of a personal column."""

    DROP = "drop"
    PSEUDONYM = "pseudonym"
    INITIAL = "initial"
    PLACE = "place"
    YEAR = "year"
    ID = "id"
    PUBLIC = "public"


class CopyMode(StrEnum):
    """How a run learns what has changed."""

    TRIGGERS = "triggers"
    REPLICATION = "replication"
    UPDATED_AT = "updated_at"
    COMPARE = "compare"


class Repeats(StrEnum):
    """How often the same event of a person and an item counts."""

    ONCE = "once"
    DAILY = "daily"
    EVERY = "every"


def _wrong(message: str, **values: Any) -> PydanticCustomError:
    return PydanticCustomError("description", message, values)


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _wrong("{zone} is no time zone; one is Europe/Berlin, another UTC", zone=value) from None
    return value


_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def _duration(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    text = str(value).strip()
    if not (text[:-1].isdecimal() and text[:-1].isascii() and text[-1:] in _UNITS and len(text) <= 6):  # noqa: PLR2004
        raise _wrong(
            "must be a number of minutes, hours or days such as 30m, 24h or 7d, not {text}", text=text
        )
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


def _weight(value: float) -> float:
    if value == 0 or not -100 <= value <= 100:  # noqa: PLR2004
        raise _wrong("must be a number from -100 to 100 and not 0, which stands for no event")
    return value


Duration = Annotated[
    timedelta,
    BeforeValidator(
        _duration, json_schema_input_type=Annotated[str, StringConstraints(pattern=r"^[0-9]{1,5}[mhd]$")]
    ),
]
TimeZone = Annotated[str, AfterValidator(_time_zone), Field(examples=["Europe/Berlin", "UTC"])]
Weight = Annotated[float, Field(allow_inf_nan=False), AfterValidator(_weight)]
_WORD, _NAME, _SLOT = r"^[^\W\d_][\w -]{0,38}[\w]$", r"^[a-z][a-z0-9_]{0,47}$", r"^[a-z0-9_]{1,63}$"
# What the patterns mean, for messages.
FORMS = {
    _WORD: "of a word: 2 to 40 letters, digits, spaces, - and _, with a letter first",
    _NAME: "of a name of ours: at most 48 of a-z, 0-9 and _, with a letter first",
    _SLOT: "of a slot's name: at most 63 of a-z, 0-9 and _",
}
Word = Annotated[str, StringConstraints(strip_whitespace=True, pattern=_WORD)]
# Names of ours: of a source, of an attribute.
Name = Annotated[str, StringConstraints(strip_whitespace=True, pattern=_NAME)]
# What Postgres allows.
SlotName = Annotated[str, StringConstraints(strip_whitespace=True, pattern=_SLOT)]
KindValue = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class Part(BaseModel):
    """Base of all parts: nothing that is not known, nothing that changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


def part_names(part: str) -> str:
    """Return what a part of this class may have below it, for messages."""
    classes = {one.__name__: one for one in (*Part.__subclasses__(), *Described.__subclasses__())}
    fields = classes[part].model_fields
    needed = [field.alias or name for name, field in fields.items() if field.is_required()]
    others = [field.alias or name for name, field in fields.items() if not field.is_required()]
    return ", ".join(needed) + (f"; and if you like {', '.join(others)}" if others else "")


class Words(Part):
    """What an item and a person are called, in one and in many."""

    item: Word = "movie"
    items: Word = "movies"
    person: Word = "user"
    people: Word = "users"


class Source(Part):
    """Which database, and how changes are found."""

    name: Name = Field(description="What the source is called in messages, audit and models.")
    kind: Literal["postgres", "ours"] = Field(
        "postgres", description="`ours`: the tables are Dataflix's own, and nothing is copied."
    )
    copy_mode: CopyMode = Field(
        CopyMode.COMPARE, alias="copy", description="How a run learns what has changed since the last one."
    )
    compare_every: Duration = Field(
        timedelta(hours=24), description="After this time a run compares everything, whatever the mode."
    )
    time_zone: TimeZone | None = Field(None, description="Of times that have no zone.")
    capture_schema: ColumnName = Field(
        ColumnName("dataflix"),
        alias="schema",
        description="The one schema of ours in the source, for the mode triggers.",
    )
    slot: SlotName = Field(
        "dataflix", description="The replication slot of ours in the source, for the mode replication."
    )


class Described(Part):
    """Base of what stands in a table of the source.

    Attributes:
        hidden: a row in which this is true, or has a value, does not exist for us, as of soft deletion.
        changed: when the row was last changed, for the mode updated_at.
        personal: what becomes of each personal column of the table.
    """

    table: TableName
    hidden: ColumnName | None = None
    changed: ColumnName | None = None
    time_zone: TimeZone | None = None
    personal: dict[ColumnName, Masking] = Field(default_factory=dict)


class People(Described):
    """The people: who has events, and for whom lists are made."""

    id: ColumnName
    joined: Reference | None = None
    attributes: dict[
        Literal["username", "email", "first_name", "last_name", "city", "state", "country", "birth_year"],
        Reference,
    ] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _masked(self) -> Self:
        for attribute, reference in self.attributes.items():
            wanted = Masking(PERSON_ATTRIBUTES[attribute])
            column = ColumnName(reference.column)
            said = self.personal.get(column)
            if reference.is_path:
                continue
            if said is Masking.DROP:
                raise _wrong(
                    "personal says that {column} is dropped, but attributes.{attribute} copies it",
                    column=str(column),
                    attribute=attribute,
                )
            if said not in (None, Masking.PUBLIC, Masking.ID, wanted):
                raise _wrong(
                    "{column} can't be masked as {said}: attributes.{attribute} is masked as {wanted}",
                    column=str(column),
                    said=str(said),
                    attribute=attribute,
                    wanted=str(wanted),
                )
        used = {ColumnName(r.column) for r in self.attributes.values()} | {self.id}
        if self.joined:
            used.add(ColumnName(self.joined.column))
        for column, said in self.personal.items():
            if said is Masking.ID and column != self.id:
                raise _wrong("{column} is not the id, so it can't be masked as id", column=str(column))
            if column == self.id and said not in (Masking.ID, Masking.PUBLIC):
                raise _wrong("{column} is the id: write id, and it stays in our map", column=str(column))
            if said not in (Masking.DROP, Masking.PUBLIC, Masking.ID) and column not in used:
                raise _wrong(
                    "{column} is masked as {said}, but no attribute copies it: write drop",
                    column=str(column),
                    said=str(said),
                )
        return self


class SplitText(Part):
    """Categories in one text, with a sign between them."""

    column: Reference
    separator: Annotated[str, StringConstraints(min_length=1, max_length=5)]


class CategoryTable(Part):
    """Categories in a table of their own: one row for each item and category."""

    table: TableName
    item: ColumnName
    name: Reference


def _form_of_categories(value: Any) -> str:
    # Without it, a mistake in one form would be named once for each form.
    if isinstance(value, CategoryTable) or (isinstance(value, dict) and {"table", "item"} & set(value)):
        return "CategoryTable"
    return "SplitText" if isinstance(value, SplitText | dict) else "Reference"


Categories = Annotated[
    Annotated[Reference, Tag("Reference")]
    | Annotated[SplitText, Tag("SplitText")]
    | Annotated[CategoryTable, Tag("CategoryTable")],
    Discriminator(_form_of_categories),
]


class Items(Described):
    """The items: what is recommended."""

    id: ColumnName
    name: Reference
    categories: Categories | None = None
    attributes: dict[Name, Reference] = Field(default_factory=dict)
    available_since: Reference | None = None

    @model_validator(mode="after")
    def _not_dropped(self) -> Self:
        read = [self.name, *self.attributes.values()]
        if isinstance(self.categories, Reference):
            read.append(self.categories)
        for reference in read:
            said = self.personal.get(ColumnName(reference.column))
            if said not in (None, Masking.PUBLIC):
                raise _wrong(
                    "{column} is personal ({said}), but it is copied with the items: leave it out, or write"
                    " public",
                    column=reference.column,
                    said=str(said),
                )
        return self


class Scale(Part):
    """An opinion in numbers."""

    column: ColumnName
    min: Annotated[float, Field(allow_inf_nan=False)]
    max: Annotated[float, Field(allow_inf_nan=False)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min >= self.max:
            raise _wrong("min must be below max")
        return self


class Thumbs(Part):
    """An opinion in two values: for and against."""

    column: ColumnName
    up: tuple[str, ...] = Field(min_length=1)
    down: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if both := set(self.up) & set(self.down):
            raise _wrong("{both} is both up and down", both=", ".join(sorted(both)))
        return self


class KindColumn(Part):
    """A column that says which kind an event is, and how much each kind weighs."""

    column: ColumnName
    weights: dict[KindValue, Weight] = Field(min_length=1)
    ignore: tuple[KindValue, ...] = ()

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if both := set(self.weights) & set(self.ignore):
            raise _wrong("{both} has a weight and is ignored", both=", ".join(sorted(both)))
        return self


class Events(Described):
    """One table or view of events: who did what with which item, and when."""

    person: Reference
    item: Reference
    time: Reference
    kind: KindValue | None = None
    weight: Weight | None = None
    kinds: KindColumn | None = None
    scale: Scale | None = None
    thumbs: Thumbs | None = None
    repeats: Repeats = Repeats.ONCE

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.kind is None) == (self.kinds is None):
            raise _wrong("needs either kind, a name, or kinds, a column with weights")
        if self.scale and self.thumbs:
            raise _wrong("has an opinion on a scale or in thumbs, not both")
        if self.is_opinion:
            if self.kinds or self.weight is not None:
                raise _wrong("is an opinion: its value weighs, so it has a kind and no weight")
        elif self.kind is not None and self.weight is None:
            raise _wrong(
                "kind {kind} has no weight: write how much one event speaks for the item, as weight: 1; an"
                " opinion has scale or thumbs instead",
                kind=self.kind,
            )
        elif self.kinds and self.weight is not None:
            raise _wrong("has kinds with weights of their own; leave weight out")
        return self

    @property
    def is_opinion(self) -> bool:
        """Whether the event says how much the person likes the item."""
        return self.scale is not None or self.thumbs is not None

    @property
    def weights(self) -> dict[str, float | None]:
        """The weight of each kind; None for an opinion, whose value weighs."""
        if self.kinds:
            return dict(self.kinds.weights)
        return {str(self.kind): self.weight}


class Description(Part):
    """A description: people, items and events of one database."""

    version: Literal["1", 1] = Field(description="Of this format.")
    source: Source
    words: Words = Words()
    people: People
    items: Items
    events: tuple[Events, ...] = Field(min_length=1)

    @field_validator("events")
    @classmethod
    def _kinds_are_unique(cls, value: tuple[Events, ...]) -> tuple[Events, ...]:
        seen: set[str] = set()
        for number, events in enumerate(value, start=1):
            for kind in events.weights:
                if kind in seen:
                    raise _wrong("kind {kind} of events {number} is already taken", kind=kind, number=number)
                seen.add(kind)
        return value

    def zone(self, part: Described) -> str | None:
        """Return the zone of times without one in a table."""
        return part.time_zone or self.source.time_zone

    def tables(self) -> Iterator[tuple[str, "People | Items | Events"]]:
        """Yield the described tables with the names of their places in the file."""
        yield "people", self.people
        yield "items", self.items
        for number, events in enumerate(self.events):
            yield f"events.{number}", events
