"""Bad lines: the first one ends the import, or all are collected in a file and left out."""

import csv
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from dataflix_loader.movielens.errors import BadLineError

# A line in the file of rejects is for reading; a broken file may be one line of a gigabyte.
_SHOWN_CHARACTERS = 500


class MalformedError(ValueError):
    """A line that can't be understood; the text is the reason, named before its first colon."""


@dataclass(frozen=True)
class Fault:
    """One bad line.

    Attributes:
        file: name of the file below the source.
        line: number of the line, from 1.
        reason: what is wrong: a fixed name, then often a colon and the particulars.
        text: the line itself.
    """

    file: str
    line: int
    reason: str
    text: str


class Writable(Protocol):
    """What takes text."""

    def write(self, text: str, /) -> object:
        """Take a piece of text."""


class Faults:
    """Takes bad lines as they are found.

    Args:
        rejects: where to write them as CSV (file, line, reason, text); None to raise at the first.
    """

    def __init__(self, rejects: Writable | None) -> None:
        self.reasons: Counter[str] = Counter()
        """How many lines were rejected, by the reason's name."""
        self.files: Counter[str] = Counter()
        """How many lines were rejected, by file."""
        self._writer = csv.writer(rejects, lineterminator="\n") if rejects else None
        if self._writer:
            self._writer.writerow(("file", "line", "reason", "text"))

    def add(self, fault: Fault) -> None:
        """Take a bad line.

        Raises:
            BadLineError: faults are not collected.
        """
        shown = _printable(fault.text[:_SHOWN_CHARACTERS])
        if self._writer is None:
            raise BadLineError(
                f"{fault.file}, line {fault.line}: {fault.reason}. The line is {shown!r}. "
                "Mend it, or give --rejects FILE to leave out such lines."
            )
        self._writer.writerow((fault.file, fault.line, fault.reason, shown))
        self.reasons[fault.reason.partition(":")[0]] += 1
        self.files[fault.file] += 1


def _printable(text: str) -> str:
    """Return a text of one line: what a terminal or a CSV reader would stumble over stands as an escape."""
    return "".join(
        letter if letter.isprintable() or letter == "\t" else letter.encode("unicode_escape").decode()
        for letter in text
    )
