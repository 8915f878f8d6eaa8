"""What can go wrong, and the exit code that says so."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of ``dataflix``; documented in the help of the command itself."""

    OK = 0
    ERROR = 1
    USAGE = 2
    NOT_FOUND = 3
    UNREACHABLE = 4
    REFUSED = 5
    INTERRUPTED = 130


class CliError(Exception):
    """An error for a person: what was wrong and, in ``way_out``, what to do."""

    exit_code = Exit.ERROR

    def __init__(self, message: str, way_out: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.way_out = way_out


class InputError(CliError):
    """A value that cannot be used, or that the API refuses."""

    exit_code = Exit.USAGE


class NotFoundError(CliError):
    """No such user, film, rating, rule or model."""

    exit_code = Exit.NOT_FOUND


class UnreachableError(CliError):
    """The API does not answer, or cannot do its work at present."""

    exit_code = Exit.UNREACHABLE


class RefusedError(CliError):
    """No API key, or one that the API does not take."""

    exit_code = Exit.REFUSED
