"""Errors of the command line, and their exit codes."""

import traceback
from enum import IntEnum
from pathlib import Path


class Exit(IntEnum):
    """Exit codes of ``dataflix``; its help documents them."""

    OK = 0
    ERROR = 1
    USAGE = 2
    NOT_FOUND = 3
    UNREACHABLE = 4
    REFUSED = 5
    INTERRUPTED = 130


class CliError(Exception):
    """An error for a person.

    Attributes:
        message: what was wrong.
        hint: what to do about it; may be empty.
    """

    exit_code = Exit.ERROR

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(CliError):
    """A value cannot be used, or the API refuses it."""

    exit_code = Exit.USAGE


class NotFoundError(CliError):
    """There is no such user, movie, rating, rule or model."""

    exit_code = Exit.NOT_FOUND


class UnreachableError(CliError):
    """The API does not answer, or cannot work now."""

    exit_code = Exit.UNREACHABLE


class RefusedError(CliError):
    """There is no API key, or the API does not accept it."""

    exit_code = Exit.REFUSED


class CancelledError(CliError):
    """The person has interrupted the command, or did not confirm it."""

    exit_code = Exit.INTERRUPTED

    def __init__(self) -> None:
        super().__init__("Cancelled.")


def unexpected(error: Exception) -> CliError:
    """Return an error that no other class stands for: with its place in the code, without a traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return CliError(
        f"dataflix cannot go on: {type(error).__name__} {error}{place}.",
        "If the address is that of the Dataflix API, this is a mistake of dataflix: please report it.",
    )
