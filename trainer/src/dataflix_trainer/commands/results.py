"""What commands print: data on stdout, progress and errors on stderr."""

import functools
import json
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from dataflix_common.settings import SettingsError
from dataflix_recommender.errors import RecommenderError
from dataflix_trainer.errors import TrainerError

# The exit code of each kind of error, as `trainer --help` lists them.
OTHER_ERROR = 1
SETTINGS_ERROR = 2


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command found out: ``data`` for programs, ``text`` for people."""

    data: Any
    text: str


def prints_result(command: Callable[..., CommandResult]) -> Callable[..., None]:
    """Add ``--json`` to a command, and print its result, or its error with the exit code of its kind.

    With ``--json`` stdout is one JSON document either way; an error is ``{"error": "..."}``.
    """

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    @functools.wraps(command)
    def wrapped(*, as_json: bool, **options: Any) -> None:
        _print(functools.partial(command, **options), as_json=as_json)

    return wrapped


def prints_text(command: Callable[..., CommandResult]) -> Callable[..., None]:
    """Print the text of a command's result, or its error with the exit code of its kind."""

    @functools.wraps(command)
    def wrapped(**options: Any) -> None:
        _print(functools.partial(command, **options), as_json=False)

    return wrapped


def _print(command: Callable[[], CommandResult], *, as_json: bool) -> None:
    _log_to_stderr()
    try:
        result = command()
    except (TrainerError, RecommenderError, SettingsError) as error:
        if as_json:
            click.echo(json.dumps({"error": str(error)}))
        click.echo(f"error: {error}", err=True)
        sys.exit(_exit_code(error))
    click.echo(json.dumps(result.data) if as_json else result.text)


def _exit_code(error: Exception) -> int:
    if isinstance(error, SettingsError):
        return SETTINGS_ERROR
    return error.exit_code if isinstance(error, TrainerError) else OTHER_ERROR


def _log_to_stderr() -> None:
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="time=%(asctime)s level=%(levelname)s %(message)s"
    )
    logging.getLogger("dataflix_trainer").setLevel(logging.INFO)
    # It logs what it also raises.
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
