"""Checks the lines of a ratings file at the speed of the disk and hands the good ones to COPY.

A block of a megabyte is checked by one regular expression; only a block that does not pass is looked at line
by line.
"""

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator

from dataflix_loader.database.staging import CopyStream
from dataflix_loader.movielens.dataset import Format
from dataflix_loader.movielens.lines import MAX_LINE, TOO_LONG, FileCount, blocks, decode
from dataflix_loader.movielens.rejects import Fault, Faults
from dataflix_loader.movielens.sources import SourceFile

COLUMNS = ("user_id", "movie_id", "rating", "rated_epoch")

_DELIMITERS = {Format.CSV: b",", Format.DAT: b"::", Format.UDATA: b"\t"}

# Possessive quantifiers: a line matches in one way or not at all, so a bad block fails at once. 17 digits fit
# into a bigint; ten digits of seconds reach to the year 2286.
_ID = rb"[1-9][0-9]{0,16}+"
_STARS = rb"(?:[1-4](?:\.[05])?+|5(?:\.0)?+|0\.5)"
_SECONDS = rb"[0-9]{1,10}+"

_ID_FIELD = re.compile(_ID)
_STARS_FIELD = re.compile(_STARS)
_NUMBER_FIELD = re.compile(rb"[+-]?[0-9]+(?:\.[0-9]+)?")
_SECONDS_FIELD = re.compile(_SECONDS)

_FIELDS = 4


class RatingsStream(CopyStream):
    """The good lines of a ratings file as comma-separated COPY input.

    Args:
        faults: told of bad lines, which are left out if it collects them.
        count: told of the bytes and rows read.
        advance: told how many bytes went by.
    """

    def __init__(
        self,
        format_: Format,
        file: SourceFile,
        faults: Faults,
        count: FileCount,
        advance: Callable[[int], None],
    ) -> None:
        self._header_lines = 1 if format_ is Format.CSV else 0
        self._rejected_lines = array("q")
        self._delimiter = _DELIMITERS[format_]
        self._file = file
        self._faults = faults
        self._count = count
        line = re.escape(self._delimiter).join((_ID, _ID, _STARS, _SECONDS)) + rb"\n"
        self._good_line = re.compile(line)
        self._good_block = re.compile(rb"(?:" + line + rb")*+")
        self._chunks = self._read(advance)

    def read(self, size: int = -1, /) -> bytes:
        """Return the next good lines; none at the end.

        Raises:
            BadLineError: at the first fault, unless they are collected.
            SourceError: the file can't be read.
        """
        return next(self._chunks, b"")

    def line_of(self, ordinal: int) -> int:
        """Return the number of the line that held the n-th good rating, n from 1."""
        rejected, header = self._rejected_lines, self._header_lines
        before = bisect_left(
            range(len(rejected)), ordinal, key=lambda index: rejected[index] - header - 1 - index
        )
        return header + ordinal + before

    def _read(self, advance: Callable[[int], None]) -> Iterator[bytes]:
        number = 1
        with self._file.open() as stream:
            for block in blocks(self._file, stream, self._count, advance):
                lines = block.replace(b"\r\n", b"\n") if b"\r" in block else block
                count = lines.count(b"\n")
                if number <= self._header_lines:
                    lines = lines.partition(b"\n")[2]
                    number, count = number + 1, count - 1
                good = lines if self._good_block.fullmatch(lines) else self._sift(lines, number)
                number += count
                if good:
                    self._count.rows += good.count(b"\n")
                    yield good if self._delimiter == b"," else good.replace(self._delimiter, b",")

    def _sift(self, lines: bytes, number: int) -> bytes:
        """Return the good ones of some lines, of which the first is line `number` of the file."""
        good = []
        for offset, raw in enumerate(lines[:-1].split(b"\n")):
            if self._good_line.fullmatch(raw + b"\n"):
                good.append(raw + b"\n")
                continue
            reason = explain(raw, self._delimiter)
            self._faults.add(Fault(self._file.name, number + offset, reason, decode(raw)))
            self._rejected_lines.append(number + offset)
        return b"".join(good)


def explain(raw: bytes, delimiter: bytes) -> str:
    """Return what is wrong with a line that is no rating."""
    if len(raw) > MAX_LINE:
        return TOO_LONG
    fields = raw.split(delimiter)
    if not raw:
        return "empty line"
    if len(fields) != _FIELDS:
        return f"wrong number of fields: {len(fields)} instead of {_FIELDS}"
    user, movie, rating, seconds = fields
    rules = (
        (user, _ID_FIELD, "bad user id: must be a whole number above 0"),
        (movie, _ID_FIELD, "bad film id: must be a whole number above 0"),
        (rating, _NUMBER_FIELD, "bad rating: must be a number"),
        (rating, _STARS_FIELD, "rating out of range: must be 0.5 to 5 in half steps"),
        (seconds, _SECONDS_FIELD, "bad time: must be seconds since 1970, a whole number"),
    )
    return next(reason for field, pattern, reason in rules if not pattern.fullmatch(field))
