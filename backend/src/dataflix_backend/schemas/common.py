"""Parameters and meta that lists have in common."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator, with_config
from typing_extensions import TypedDict

from dataflix_backend.schemas.fields import refuse_together, whole

DEFAULT_LIMIT = 20
DEFAULT_MOVIES = 10
MAX_LIMIT = 100
# Skipped rows cost time, and no person pages this far.
MAX_OFFSET = 1_000_000

STRICT = ConfigDict(extra="forbid")


class NoQuery(BaseModel):
    """No parameters: one that is sent is refused by name."""

    model_config = STRICT


class Page(BaseModel):
    """Offset pagination."""

    model_config = STRICT

    limit: Annotated[int, whole(1, MAX_LIMIT, text=True), Field(description="How many rows to answer.")] = (
        DEFAULT_LIMIT
    )
    offset: Annotated[int, whole(0, MAX_OFFSET, text=True), Field(description="How many rows to skip.")] = 0


class MovieLimit(BaseModel):
    """The length of a list of movies; ``limit`` also holds what was given as ``n``."""

    model_config = STRICT

    limit: Annotated[int, whole(1, MAX_LIMIT, text=True), Field(description="How many movies to answer.")] = (
        DEFAULT_MOVIES
    )
    n: Annotated[int | None, whole(1, MAX_LIMIT, text=True), Field(description="Another name of limit.")] = (
        None
    )

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if self.n is None:
            return self
        if "limit" in self.model_fields_set and self.limit != self.n:
            raise refuse_together(
                ["limit", "n"],
                f"must be equal, because n is another name of limit: {self.limit} is not {self.n}",
            )
        self.limit = self.n
        return self


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
