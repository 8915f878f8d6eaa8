"""What every list shares: its page parameters and its meta."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, with_config
from typing_extensions import TypedDict

from dataflix_backend.schemas.fields import Whole

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
# Skipped rows cost time; nobody pages past this by hand.
MAX_OFFSET = 1_000_000

STRICT = ConfigDict(extra="forbid")


class NoQuery(BaseModel):
    """No parameters; one that is sent is refused by name."""

    model_config = STRICT


class Page(BaseModel):
    """Offset pagination."""

    model_config = STRICT

    limit: Annotated[int, Whole(1, MAX_LIMIT, text=True), Field(description="How many rows to answer.")] = (
        DEFAULT_LIMIT
    )
    offset: Annotated[int, Whole(0, MAX_OFFSET, text=True), Field(description="How many rows to skip.")] = 0


@with_config(STRICT)
class PageMeta(TypedDict):
    """Which part of a list this is."""

    count: Annotated[int, Field(description="Rows in this answer.")]
    total: Annotated[int, Field(description="Rows in the whole list.")]
    limit: int
    offset: int


def page_meta(page: Page, count: int, total: int) -> PageMeta:
    """Return the meta of one page of a list of ``total`` rows."""
    return {"count": count, "total": total, "limit": page.limit, "offset": page.offset}
