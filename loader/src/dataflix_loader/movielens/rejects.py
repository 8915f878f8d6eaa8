"""Invalid lines: either the first one ends the import, or all are left out and collected in a file."""

import csv
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from dataflix_loader.movielens.errors import BadLineError

# The file of rejects is for people; a broken file may be one line of a gigabyte.
_SHOWN_CHARACTERS = 500


class Reason(StrEnum):
    """Why a line is rejected. `docs/data.md` lists all of them."""

    WRONG_FIELDS = "wrong number of fields"
    TOO_LONG = "line too long"
    BAD_USER_ID = "bad user id"
    BAD_MOVIE_ID = "bad movie id"
    BAD_RATING = "bad rating"
    RATING_OUT_OF_RANGE = "rating out of range"
    BAD_TIME = "bad time"
    UNKNOWN_MOVIE = "unknown movie"
    DUPLICATE_RATING = "duplicate rating"
    DUPLICATE_MOVIE = "duplicate movie"
    EMPTY_TITLE = "empty title"
    TITLE_TOO_LONG = "title too long"
    BAD_QUOTES = "bad quotes"
    BAD_GENRE = "bad genre"
    BAD_YEAR = "bad year"
    BAD_IMDB_ID = "bad IMDb id"
    BAD_TMDB_ID = "bad TMDB id"
    BAD_AGE = "bad age"
    DUPLICATE_USER = "duplicate user"
    NUL_CHARACTER = "NUL character"
    CONTROL_CHARACTER = "control character"
    BAD_ENCODING = "bad encoding"


class InvalidLineError(ValueError):
    """A line can't be parsed. The text is the reason, then often a colon and details."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason.value)


@dataclass(frozen=True)
class RejectedLine:
    """One invalid line.

    Attributes:
        file: name of the file below the source.
        line: number of the line, from 1.
        reason: what is wrong: a fixed name, then often a colon and details.
        text: the line itself.
    """

    file: str
    line: int
    reason: str
    text: str


class Writable(Protocol):
    """A sink for text."""

    def write(self, text: str, /) -> object:
        """Write a piece of text."""


class RejectLog:
    """Receives invalid lines as they are found.

    Args:
        sink: where to write them as CSV (file, line, reason, text); None to raise at the first.

    Attributes:
        count_by_reason: number of rejected lines by the name of the reason.
        count_by_file: number of rejected lines by file.
    """

    def __init__(self, sink: Writable | None) -> None:
        self.count_by_reason: Counter[str] = Counter()
        self.count_by_file: Counter[str] = Counter()
        self._writer = csv.writer(sink, lineterminator="\n") if sink else None
        if self._writer:
            self._writer.writerow(("file", "line", "reason", "text"))

    def add(self, rejected: RejectedLine) -> None:
        """Record an invalid line.

        Raises:
            BadLineError: invalid lines are not collected.
        """
        shown = _printable(rejected.text[:_SHOWN_CHARACTERS])
        if self._writer is None:
            raise BadLineError(
                f"{rejected.file}, line {rejected.line}: {rejected.reason}. The line is {shown!r}. "
                "Correct it, or leave out such lines with --rejects FILE."
            )
        self._writer.writerow((rejected.file, rejected.line, rejected.reason, shown))
        self.count_by_reason[rejected.reason.partition(":")[0]] += 1
        self.count_by_file[rejected.file] += 1


def _printable(text: str) -> str:
    """Return a text of one line: characters that break a terminal or a CSV reader become escapes."""
    return "".join(
        letter if letter.isprintable() or letter == "\t" else letter.encode("unicode_escape").decode()
        for letter in text
    )
