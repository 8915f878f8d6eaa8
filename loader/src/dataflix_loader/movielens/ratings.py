"""Checks the lines of a ratings file at the speed of the disk and passes the valid ones to COPY.

One regular expression checks a block of a megabyte. Only a block that does not match is checked line by line.
"""

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator

from dataflix_loader.database.staging import CopyStream
from dataflix_loader.movielens.fields import DEFAULT_SCALE, parse_half_stars, parse_id, parse_seconds
from dataflix_loader.movielens.formats import FileKind, Format, file_format, plain_header
from dataflix_loader.movielens.lines import (
    BLANKS_AND_DELIMITERS,
    BYTE_ORDER_MARK,
    MAX_LINE,
    FileStats,
    decode,
    read_blocks,
    split_csv,
    split_fields,
    too_long,
)
from dataflix_loader.movielens.rejects import InvalidLineError, Reason, RejectedLine, RejectLog
from dataflix_loader.movielens.sources import SourceFile

COLUMNS = ("user_id", "movie_id", "rating", "rated_epoch")

# What most lines look like, in forms that COPY reads; `_parse` reads all others line by line. Possessive
# quantifiers: a line matches in one way or not at all, so an invalid block fails at once. A bigint holds all
# numbers of 18 digits, and those of 19 digits that begin with 1 to 8. Ten digits of seconds reach the year
# 2286.
_ID = rb"0*+(?:[1-8][0-9]{0,18}+|9[0-9]{0,17}+)"
_STARS = {
    5: rb"(?:[1-4](?:\.[05]0*+)?+|5(?:\.0*+)?+|0\.50*+)",
    10: rb"(?:10|[1-9])(?:\.0*+)?+",
}
_SECONDS = rb"[0-9]{1,10}+"

_FIELDS = 4


class RatingsStream(CopyStream):
    """The valid lines of a ratings file as comma-separated input of COPY.

    Args:
        rejects: receives the invalid lines.
        stats: updated with the bytes and rows read.
        advance: called with the number of bytes of each read.
        scale: see `parse_half_stars`. Ratings are passed on as they are on this scale.
    """

    def __init__(
        self,
        format_: Format,
        file: SourceFile,
        rejects: RejectLog,
        stats: FileStats,
        advance: Callable[[int], None],
        *,
        scale: int = DEFAULT_SCALE,
    ) -> None:
        self._header_lines = 1 if format_ is Format.CSV else 0
        self._header = file_format(format_, FileKind.RATINGS).header
        self._left_out = array("q")
        self._scale = scale
        self._delimiter = file_format(format_, FileKind.RATINGS).delimiter.encode()
        self._file = file
        self._rejects = rejects
        self._stats = stats
        line = re.escape(self._delimiter).join((_ID, _ID, _STARS[scale], _SECONDS)) + rb"\n"
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
        left_out, header = self._left_out, self._header_lines
        before = bisect_left(
            range(len(left_out)), ordinal, key=lambda index: left_out[index] - header - 1 - index
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
                is_valid = self._valid_block.fullmatch(lines)
                if is_valid and self._delimiter != b",":
                    lines = lines.replace(self._delimiter, b",")
                valid = lines if is_valid else self._keep_valid(lines, number)
                number += count
                if valid:
                    self._stats.rows += valid.count(b"\n")
                    yield valid

    def _keep_valid(self, lines: bytes, number: int) -> bytes:
        """Return the valid lines of a block, for COPY. Its first line is line `number` of the file."""
        valid = []
        for offset, raw in enumerate(lines[:-1].split(b"\n")):
            if self._valid_line.fullmatch(raw + b"\n"):
                valid.append(raw.replace(self._delimiter, b",") + b"\n")
                continue
            line = raw.rstrip(b"\r").removeprefix(BYTE_ORDER_MARK)
            if not line.strip(BLANKS_AND_DELIMITERS) or self._is_header(line):
                self._left_out.append(number + offset)
                continue
            try:
                valid.append(parse_rating(line, self._delimiter.decode(), self._scale))
            except InvalidLineError as reason:
                self._rejects.add(RejectedLine(self._file.name, number + offset, str(reason), decode(raw)))
                self._left_out.append(number + offset)
        return b"".join(valid)

    def _is_header(self, line: bytes) -> bool:
        return self._header is not None and plain_header(line) == self._header


def parse_rating(raw: bytes, delimiter: str, scale: int = DEFAULT_SCALE) -> bytes:
    """Return a line as COPY reads it.

    Raises:
        InvalidLineError: it is not a valid rating.
    """
    if len(raw) > MAX_LINE:
        raise too_long()
    text = decode(raw)
    fields = split_csv(text, _FIELDS) if delimiter == "," else split_fields(text, delimiter, _FIELDS)
    user = parse_id(fields[0], Reason.BAD_USER_ID)
    movie = parse_id(fields[1], Reason.BAD_MOVIE_ID)
    half_stars = parse_half_stars(fields[2], scale)
    seconds = parse_seconds(fields[3])
    rating = half_stars / 2 if scale == DEFAULT_SCALE else half_stars
    return f"{user},{movie},{rating:g},{seconds}\n".encode()
