"""Where people and items come from."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, with_config
from typing_extensions import TypedDict

from dataflix_backend.schemas.common import STRICT

JsonIdType = Literal["integer", "string"]


@with_config(STRICT)
class SourceWords(TypedDict):
    """What an item and a person are called, in one and in many."""

    item: str
    items: str
    person: str
    people: str


@with_config(STRICT)
class SourceKind(TypedDict):
    """A kind of event."""

    kind: str
    weight: Annotated[
        float | None,
        Field(description="How much one event speaks for the item; null for an opinion, whose value weighs."),
    ]


@with_config(STRICT)
class SourceShown(TypedDict):
    """What the API answers from: its own tables, or a copy of another application's database."""

    name: Annotated[
        str | None, Field(description="Of the source in its description; null for our own tables.")
    ]
    words: SourceWords
    person_ids: Annotated[JsonIdType, Field(description="The type of ids of people in JSON.")]
    item_ids: Annotated[JsonIdType, Field(description="The type of ids of items in JSON.")]
    kinds: Annotated[list[SourceKind], Field(description="Kinds of events; empty for our own tables.")]
    copied_at: Annotated[
        datetime | None,
        Field(description="The moment of the source that the copy shows; null for our own tables."),
    ]
