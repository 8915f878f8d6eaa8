"""Checks the lines of a ratings file at the speed of the disk and passes the valid ones to COPY.

One regular expression checks a block of a megabyte. Only a block that does not match is checked line by line.
"""

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator

from dataflix_loader.database.staging import CopyStream
from dataflix_loader.movielens.formats import FileKind, Format, file_format
from dataflix_loader.movielens.lines import MAX_LINE, TOO_LONG, FileStats, decode, read_blocks
from dataflix_loader.movielens.rejects import RejectedLine, RejectLog
from dataflix_loader.movielens.sources import SourceFile

COLUMNS = ("user_id", "movie_id", "rating", "rated_epoch")

# Possessive quantifiers: a line matches in one way or not at all, so an invalid block fails at once. 17
# digits fit into a bigint; ten digits of seconds reach the year 2286.
_ID = rb"[1-9][0-9]{0,16}+"
_STARS = rb"(?:[1-4](?:\.[05])?+|5(?:\.0)?+|0\.5)"
_SECONDS = rb"[0-9]{1,10}+"

_ID_FIELD = re.compile(_ID)
_STARS_FIELD = re.compile(_STARS)
_NUMBER_FIELD = re.compile(rb"[+-]?[0-9]+(?:\.[0-9]+)?")
_SECONDS_FIELD = re.compile(_SECONDS)

_FIELDS = 4


class RatingsStream(CopyStream):
    """The valid lines of a ratings file as comma-separated input of COPY.

    Args:
        rejects: receives the invalid lines.
        stats: updated with the bytes and rows read.
        advance: called with the number of bytes of each read.
    """

    def __init__(
        self,
        format_: Format,
        file: SourceFile,
        rejects: RejectLog,
        stats: FileStats,
        advance: Callable[[int], None],
    ) -> None:
        self._header_lines = 1 if format_ is Format.CSV else 0
        self._rejected_lines = array("q")
        self._delimiter = file_format(format_, FileKind.RATINGS).delimiter.encode()
        self._file = file
        self._rejects = rejects
        self._stats = stats
        line = re.escape(self._delimiter).join((_ID, _ID, _STARS, _SECONDS)) + rb"\n"
        self._valid_line = re.compile(line)
        self._valid_block = re.compile(rb"(?:" + line + rb")*+")
        self._chunks = self._read(advance)

    def read(self, size: int = -1, /) -> bytes:
        """Return the next valid lines; no bytes at the end.

        Raises:
            BadLineError: at the first invalid line, unless they are collected.
            FileError: the file can't be read.
        """
        return next(self._chunks, b"")

    def line_of(self, ordinal: int) -> int:
        """Return the number of the line that holds the n-th valid rating, n from 1."""
        rejected, header = self._rejected_lines, self._header_lines
        before = bisect_left(
            range(len(rejected)), ordinal, key=lambda index: rejected[index] - header - 1 - index
        )
        return header + ordinal + before

    def _read(self, advance: Callable[[int], None]) -> Iterator[bytes]:
        number = 1
        with self._file.open() as stream:
            for block in read_blocks(self._file, stream, self._stats, advance):
                lines = block.replace(b"\r\n", b"\n") if b"\r" in block else block
                count = lines.count(b"\n")
                if number <= self._header_lines:
                    lines = lines.partition(b"\n")[2]
                    number, count = number + 1, count - 1
                valid = lines if self._valid_block.fullmatch(lines) else self._keep_valid(lines, number)
                number += count
                if valid:
                    self._stats.rows += valid.count(b"\n")
                    yield valid if self._delimiter == b"," else valid.replace(self._delimiter, b",")

    def _keep_valid(self, lines: bytes, number: int) -> bytes:
        """Return the valid lines of a block whose first line is line `number` of the file."""
        valid = []
        for offset, raw in enumerate(lines[:-1].split(b"\n")):
            if self._valid_line.fullmatch(raw + b"\n"):
                valid.append(raw + b"\n")
                continue
            reason = rejection_reason(raw, self._delimiter)
            self._rejects.add(RejectedLine(self._file.name, number + offset, reason, decode(raw)))
            self._rejected_lines.append(number + offset)
        return b"".join(valid)


def rejection_reason(raw: bytes, delimiter: bytes) -> str:
    """Return why a line is not a valid rating."""
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
        (movie, _ID_FIELD, "bad movie id: must be a whole number above 0"),
        (rating, _NUMBER_FIELD, "bad rating: must be a number"),
        (rating, _STARS_FIELD, "rating out of range: must be 0.5 to 5 in half steps"),
        (seconds, _SECONDS_FIELD, "bad time: must be seconds since 1970, a whole number"),
    )
    return next(reason for field, pattern, reason in rules if not pattern.fullmatch(field))
