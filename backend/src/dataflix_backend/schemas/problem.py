"""The body of every error answer."""

from typing import Annotated, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict


@with_config(ConfigDict(extra="forbid"))
class FieldError(TypedDict):
    """One wrong input."""

    field: Annotated[str, Field(description="The parameter or body field.")]
    message: Annotated[str, Field(description="What it must be, and what it was.")]


class Problem(TypedDict):
    """A problem (RFC 9457)."""

    type: Annotated[str, Field(description="A URN that names the kind of problem.")]
    title: str
    status: int
    detail: Annotated[str, Field(description="What was wrong, with which input, and what to do.")]
    instance: Annotated[str, Field(description="The path of the request.")]
    request_id: Annotated[str, Field(description="The X-Request-ID under which our logs know this request.")]
    errors: NotRequired[list[FieldError]]
    nearest: NotRequired[
        Annotated[
            list[str],
            Field(description="For an unknown genre or attribute: what is spelt alike, the nearest first."),
        ]
    ]
