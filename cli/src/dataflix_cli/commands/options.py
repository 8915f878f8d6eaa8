"""Options and value types that several commands share."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from dataflix_cli.rating_scale import parse_rating
from dataflix_cli.session import Session

Command = TypeVar("Command", bound=Callable[..., Any])

# The years that the API takes.
RELEASE_YEAR = click.IntRange(1870, 2100)
# In minutes, as the API takes it.
RUNNING_TIME = click.IntRange(1, 32_767)
# The API answers at most this many rows.
_ROWS = click.IntRange(1, 100)
_PAGE_ROWS = 20
_RECOMMENDED_MOVIES = 10


class LocalTimeType(click.DateTime):
    """A local time that exists in UTC, too."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the time, or fail with the formats or the range."""
        local = super().convert(value, param, ctx)
        try:
            local.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a time of the years 1 to 9999 in UTC.", param, ctx)
        return local


LOCAL_TIME = LocalTimeType(("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"))


class RatingType(click.ParamType[float]):
    """Stars in half steps."""

    name = "rating"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the stars, or fail with the scale."""
        try:
            return parse_rating(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def json_option(command: Command) -> Command:
    """Add ``--json``."""
    return click.option(
        "--json", is_flag=True, expose_value=False, callback=_set_json, help="Print the API's answer as JSON."
    )(command)


def _set_json(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    session = context.find_object(Session)
    if value and session is not None:
        session.output.as_json = True


def page_options(command: Command) -> Command:
    """Add ``--limit`` and ``--offset``."""
    limited = click.option(
        "--limit", type=_ROWS, default=_PAGE_ROWS, show_default=True, help="How many rows to show."
    )(command)
    return click.option(
        "--offset", type=click.IntRange(min=0), default=0, show_default=True, help="How many rows to skip."
    )(limited)


def limit_option(command: Command) -> Command:
    """Add ``--limit`` for a list without pages; ``-n`` and ``--n`` mean the same."""
    return click.option(
        "--limit",
        "-n",
        "--n",
        "limit",
        type=_ROWS,
        default=_RECOMMENDED_MOVIES,
        show_default=True,
        help="How many movies to show.",
    )(command)


def attribute_option(command: Command) -> Command:
    """Add ``--attribute``, which may be repeated; ``as_list`` makes a parameter of it."""
    return click.option(
        "--attribute",
        multiple=True,
        metavar="NAME:VALUE",
        help="Only items of the source with this attribute; NAME:LOW..HIGH for numbers; repeat it for more.",
    )(command)


def as_list(values: Sequence[object]) -> str | None:
    """Return values for a query string: separated by commas, in JSON if one has a comma; None if empty."""
    texts = [str(value) for value in values]
    if any("," in text or text.startswith("[") for text in texts):
        return json.dumps(list(values))
    return ",".join(texts) or None


def until_option(*, required: bool) -> Callable[[Command], Command]:
    """Add ``--until``; without it, when that is allowed, there is no end."""
    return click.option(
        "--until",
        type=LOCAL_TIME,
        required=required,
        show_default=False if required else "no end",
        help="When it ends, in local time.",
    )


def api_time(local: datetime) -> str:
    """Return a local time in the API's format."""
    return local.astimezone(UTC).isoformat()
