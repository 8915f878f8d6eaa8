"""Liveness and readiness."""

from typing import Annotated, Literal

from pydantic import Field, with_config
from typing_extensions import TypedDict

from dataflix_backend.schemas.common import STRICT


@with_config(STRICT)
class Health(TypedDict):
    """The process answers."""

    status: Literal["ok"]


@with_config(STRICT)
class Checks(TypedDict):
    """The state of each part."""

    postgres: Literal["ok", "unreachable"]
    model: Annotated[
        str, Field(description="Version of the loaded model, or 'none': then popular movies are recommended.")
    ]


@with_config(STRICT)
class Readiness(TypedDict):
    """The API can answer requests."""

    status: Literal["ready"]
    checks: Checks
