"""Errors of the source. Each message says what was wrong and what to do; each class has an exit code."""

from collections.abc import Sequence


class SourceError(Exception):
    """Base of all errors; nothing was changed."""

    exit_code = 1


class DescriptionError(SourceError):
    """The description is not valid. The message has a line for each mistake."""

    def __init__(self, path: str, problems: Sequence[tuple[int | None, str]]) -> None:
        self.problems = tuple(problems)
        lines = (f"{path}:{line}: {text}" if line else f"{path}: {text}" for line, text in problems)
        super().__init__("\n".join(lines))


class DatabaseError(SourceError):
    """A database could not be reached or used."""

    exit_code = 3


class SourceUnavailableError(DatabaseError):
    """The source can't be reached, went away, or has not the certificate that it should have."""


class RefusedError(SourceError):
    """The copy would do harm: another database, too many deletions, or a capture with gaps."""


class BusyError(SourceError):
    """Another copy is running."""
