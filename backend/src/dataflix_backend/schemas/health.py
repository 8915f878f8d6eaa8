"""Liveness and readiness."""

from typing import Annotated, Literal, NotRequired

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
    champion: NotRequired[
        Annotated[
            str,
            Field(
                description="Why the registry's champion is not the model that is served; absent when it is, "
                "or when there is none."
            ),
        ]
    ]


@with_config(STRICT)
class Readiness(TypedDict):
    """The API can answer requests."""

    status: Literal["ready"]
    checks: Checks
