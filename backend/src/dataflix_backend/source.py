"""Where people and items come from: our own tables, or a copy of another application's database.

In a copy, whoever calls names people and items by the application's ids, and only ``web`` and ``services``
know them: queries and rankings see our numbers alone.
"""

import re
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

Thing = Literal["user", "movie"]

_BIGINT = range(-(2**63), 2**63)
# Longer digit strings are out of range, and int() refuses very long ones.
_WHOLE = re.compile(r"-?[0-9]{1,30}", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,400})?", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
# Not in a path, a placeholder or the name of a field.
_OUR_WORDS = re.compile(r"(?<![\w/{.])(?P<article>an? )?(?P<word>movies?|users?)(?![\w/}])", re.IGNORECASE)
_INTEGERS = frozenset({"int2", "int4", "int8"})


@dataclass(frozen=True, slots=True)
class IdForm:
    """What an id of the application looks like.

    Attributes:
        type: the column's type in the application's Postgres.
    """

    type: str

    @property
    def is_integer(self) -> bool:
        """Whether JSON holds the id as a number."""
        return self.type in _INTEGERS

    @property
    def advice(self) -> str:
        """What an id must be, after 'Ids are' or 'must be'."""
        if self.is_integer:
            return "whole numbers"
        return {"uuid": "UUIDs", "numeric": "numbers"}.get(self.type, "texts of at least one character")

    @property
    def json_schema(self) -> dict[str, Any]:
        """The JSON schema of an id."""
        if self.is_integer:
            return {"type": "integer", "minimum": _BIGINT[0], "maximum": _BIGINT[-1]}
        return {"type": "string", "minLength": 1} | ({"format": "uuid"} if self.type == "uuid" else {})

    def from_text(self, text: str) -> str | None:
        """Return the one spelling in which the copy holds this id; None for what can't be an id."""
        if not text or "\0" in text:
            return None
        if self.is_integer:
            return str(int(text)) if _WHOLE.fullmatch(text) and int(text) in _BIGINT else None
        if self.type == "uuid":
            return str(uuid.UUID(text)) if _UUID.fullmatch(text) else None
        if self.type == "numeric":
            return _trimmed(text) if _DECIMAL.fullmatch(text) else None
        if self.type == "bpchar":
            return text.rstrip(" ")
        return text.lower() if self.type == "citext" else text

    def from_json(self, value: object) -> str | None:
        """Return the same for a value of a JSON body."""
        if isinstance(value, str):
            return None if self.is_integer else self.from_text(value)
        if isinstance(value, float) and value.is_integer():
            # In JSON Schema 1.0 is an integer.
            value = int(value)
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return (
            self.from_text(str(value)) if is_number and (self.is_integer or self.type == "numeric") else None
        )

    def to_json(self, key: str) -> str | int:
        """Return an id of the copy as the application has it."""
        return int(key) if self.is_integer and _WHOLE.fullmatch(key) else key


def _trimmed(text: str) -> str | None:
    """Return a decimal number as Postgres' trim_scale spells it."""
    try:
        number = format(Decimal(text), "f")
    except InvalidOperation:
        return None
    whole, _, fraction = number.partition(".")
    fraction = fraction.rstrip("0")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    digits = digits.lstrip("0") or "0"
    trimmed = digits + (f".{fraction}" if fraction else "")
    return trimmed if trimmed == "0" else sign + trimmed


@dataclass(frozen=True, slots=True)
class Words:
    """What an item and a person are called, in one and in many."""

    item: str = "movie"
    items: str = "movies"
    person: str = "user"
    people: str = "users"

    def said(self, text: str) -> str:
        """Return a text of ours with these words in place of ours; paths and names of fields stay."""

        def word(match: re.Match[str]) -> str:
            article, ours = match["article"] or "", match["word"]
            theirs = {"movie": self.item, "movies": self.items, "user": self.person, "users": self.people}
            found = theirs[ours.lower()]
            if article:
                # Most words with u that people and items are called begin as user and unit do.
                article = article[0] + ("n " if found[0].lower() in "aeio" else " ")
            return article + (found[:1].upper() + found[1:] if ours[0].isupper() else found)

        return text if self == OUR_WORDS else _OUR_WORDS.sub(word, text)

    def of(self, thing: str) -> str:
        """Return the word for a user or a movie; any other thing is called as it is."""
        return {"user": self.person, "movie": self.item}.get(thing, thing)

    def several(self, thing: Thing) -> str:
        """Return the word for users or movies."""
        return self.people if thing == "user" else self.items


OUR_WORDS = Words()


@dataclass(frozen=True, slots=True)
class EventKind:
    """A kind of event of the application.

    Attributes:
        weight: how much one event speaks for the item; None for an opinion, whose value weighs.
    """

    kind: str
    weight: float | None


@dataclass(frozen=True, slots=True)
class Identity:
    """Which database a copy comes from.

    Attributes:
        name: of the source, in its description.
        system_identifier: of its cluster; None if the server does not say it.
        database_oid: of its database.
    """

    name: str
    system_identifier: str | None
    database_oid: int

    def is_same(self, other: "Identity") -> bool:
        """Return whether two identities can be those of one database; the name may change."""
        return (self.system_identifier, self.database_oid) == (other.system_identifier, other.database_oid)

    def __str__(self) -> str:
        cluster = self.system_identifier or "unknown"
        return f"{self.name} (database {self.database_oid} of cluster {cluster})"


@dataclass(frozen=True, slots=True)
class Source:
    """Where people and items come from; without an identity from our own tables.

    Attributes:
        kinds: the kinds of events, in the order of their names.
        copied_at: the moment of the application that the copy shows.
    """

    identity: Identity | None = None
    words: Words = OUR_WORDS
    person_ids: IdForm = field(default_factory=lambda: IdForm("int8"))
    item_ids: IdForm = field(default_factory=lambda: IdForm("int8"))
    kinds: tuple[EventKind, ...] = ()
    copied_at: datetime | None = None

    @property
    def is_copy(self) -> bool:
        """Whether people and items have ids of another application."""
        return self.identity is not None

    @property
    def kind_weights(self) -> dict[str, float]:
        """The weight of one event of each kind, without opinions."""
        return {kind.kind: kind.weight for kind in self.kinds if kind.weight is not None}

    def ids_of(self, thing: Thing) -> IdForm:
        """Return what ids of users or of movies look like."""
        return self.person_ids if thing == "user" else self.item_ids


OUR_TABLES = Source()
