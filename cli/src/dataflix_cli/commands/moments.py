"""Options that tell a time, in local time."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

MOMENT = click.DateTime(("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"))


def until_option(*, required: bool) -> Callable[[Command], Command]:
    """Add ``--until``."""
    without = "" if required else " For good if left out."
    told = f"When it ends, in local time.{without}"
    return click.option("--until", type=MOMENT, required=required, help=told)


def for_api(moment: datetime) -> str:
    """Return a local time as the API takes it."""
    return moment.astimezone(UTC).isoformat()
