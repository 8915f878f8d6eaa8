"""Reads files line by line, in bytes, and counts and hashes what it reads."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, TypeVar

from dataflix_loader.movielens.rejects import InvalidLineError, RejectedLine, RejectLog
from dataflix_loader.movielens.sources import SourceFile, read_some

# The longest line of any MovieLens file has a few hundred characters.
MAX_LINE = 1 << 16

# Bytes per read.
BLOCK_BYTES = 1 << 20

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

TOO_LONG = f"line too long: more than {MAX_LINE} characters"


Parsed = TypeVar("Parsed")


@dataclass
class FileStats:
    """What was read of a file, for the manifest.

    Attributes:
        rows: number of valid lines.
        digest: SHA-256 of the bytes.
    """

    rows: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)


def read_blocks(
    file: SourceFile, stream: IO[bytes], stats: FileStats, advance: Callable[[int], None]
) -> Iterator[bytes]:
    r"""Yield a file as blocks of whole lines. Each line ends with "\n".

    A line longer than MAX_LINE is cut there; it stays too long, and so it is still rejected.

    Args:
        file: names the file in errors.
        stream: the open file.
        stats: updated with the digest.
        advance: called with the number of bytes of each read.

    Raises:
        FileError: it can't be read.
    """
    rest = b""
    is_first = True
    while block := read_some(file, stream, BLOCK_BYTES):
        stats.digest.update(block)
        advance(len(block))
        if is_first:
            block = block.removeprefix(_BYTE_ORDER_MARK)
            is_first = False
        lines, line_feed, tail = block.rpartition(b"\n")
        if line_feed:
            yield rest + lines + b"\n"
            rest = tail
        else:
            rest += tail
        rest = rest[: MAX_LINE + 1]
    if rest:
        yield rest + b"\n"


def decode(raw: bytes) -> str:
    """Return a line as text: UTF-8, or Latin-1 where it is not UTF-8 (as in ml-1m and ml-100k)."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def parse_lines(
    file: SourceFile,
    parse: Callable[[str], Parsed],
    rejects: RejectLog,
    stats: FileStats,
    advance: Callable[[int], None],
    *,
    has_header: bool,
) -> Iterator[Parsed]:
    """Yield the result of `parse` for each line. A line that raises InvalidLineError goes to `rejects`.

    Raises:
        BadLineError: at the first invalid line, unless they are collected.
        FileError: the file can't be read.
    """
    number = 0
    with file.open() as stream:
        for block in read_blocks(file, stream, stats, advance):
            for raw in block[:-1].split(b"\n"):
                number += 1
                if has_header and number == 1:
                    continue
                text = decode(raw.removesuffix(b"\r"))
                try:
                    _check_storable(text)
                    parsed = parse(text)
                except InvalidLineError as reason:
                    rejects.add(RejectedLine(file.name, number, str(reason), text))
                else:
                    stats.rows += 1
                    yield parsed


def _check_storable(text: str) -> None:
    if len(text) > MAX_LINE:
        raise InvalidLineError(TOO_LONG)
    if "\0" in text:
        raise InvalidLineError("NUL character")
