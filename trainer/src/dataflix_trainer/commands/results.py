"""What commands print: data on stdout, progress and errors on stderr.

Whatever a user can provoke ends in one sentence and an exit code: a full disk, a closed pipe, a file that is
not UTF-8, a terminal that cannot show a character.
"""

import functools
import io
import json
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from dataflix_common.click_group import OutputErrorsGroup
from dataflix_common.command_end import CLOSED_OUTPUT, code_without_reader
from dataflix_common.settings import SettingsError
from dataflix_recommender.errors import RecommenderError
from dataflix_trainer.errors import TrainerError

# The exit code of each kind of error, as `trainer --help` lists them.
OTHER_ERROR = 1
SETTINGS_ERROR = 2
UNWRITABLE_ERROR = 6
INTERRUPTED = 130

# What the machine or the outside world raises in any command; everything else would be a bug of ours.
_OUTSIDE_ERRORS = (OSError, EOFError, UnicodeError, MemoryError)


class PlainErrorsGroup(OutputErrorsGroup):
    """A group whose commands, its own help included, never end with a traceback because of their output."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command line as click does."""
        if sys.stdout is None:
            # Before anything is done: what it has to say could not be said.
            click.echo(f"error: {CLOSED_OUTPUT}", err=True)
            sys.exit(UNWRITABLE_ERROR)
        for stream in (sys.stdout, sys.stderr):
            # A terminal that cannot show a character shows its code.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            result = super().main(*args, **options)
            sys.stdout.flush()
        except BrokenPipeError:
            _discard_stdout()
            sys.exit(code_without_reader())
        except _OUTSIDE_ERRORS as error:
            _discard_stdout()
            click.echo(f"error: the output cannot be written: {_sentence(error)}", err=True)
            sys.exit(UNWRITABLE_ERROR)
        return result


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
    except (TrainerError, RecommenderError, SettingsError, KeyboardInterrupt, *_OUTSIDE_ERRORS) as error:
        sentence = _sentence(error)
        click.echo(f"error: {sentence}", err=True)
        if as_json:
            _write(json.dumps({"error": sentence}))
        sys.exit(_exit_code(error))
    _write(json.dumps(result.data) if as_json else result.text)


def _write(text: str) -> None:
    click.echo(text)
    # Now, and not when the interpreter ends: then nobody could be told that it failed.
    sys.stdout.flush()


def _sentence(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, EOFError):
        return f"a file or an answer ended too early: {error}"
    if isinstance(error, MemoryError):
        return "there is not enough memory for this"
    if isinstance(error, UnicodeError):
        return f"a text is not {getattr(error, 'encoding', 'UTF-8')}: {getattr(error, 'reason', error)}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def _discard_stdout() -> None:
    """Let the interpreter flush what is left of stdout into nothing."""
    try:
        number = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):
        return  # closed, or not a file
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, number)
    os.close(nothing)


def _exit_code(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
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
