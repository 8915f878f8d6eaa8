"""Reads files line by line, in bytes, counting and hashing what goes by."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, TypeVar

from dataflix_loader.movielens.rejects import Fault, Faults, MalformedError
from dataflix_loader.movielens.sources import SourceFile, read_some

# The longest line of any MovieLens file has some hundred bytes or characters.
MAX_LINE = 1 << 16

# Bytes taken from a file at once.
BLOCK_BYTES = 1 << 20

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

TOO_LONG = f"line too long: more than {MAX_LINE} characters"


Parsed = TypeVar("Parsed")


@dataclass
class FileCount:
    """What was read of a file, for the manifest."""

    rows: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)


def blocks(
    file: SourceFile, stream: IO[bytes], count: FileCount, advance: Callable[[int], None]
) -> Iterator[bytes]:
    """Yield a file as blocks of whole lines, each line ended by a line feed.

    A line longer than MAX_LINE is cut there, and so still breaks the rules of its file.

    Raises:
        SourceError: it can't be read.
    """
    rest = b""
    is_first = True
    while block := read_some(file, stream, BLOCK_BYTES):
        count.digest.update(block)
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
    """Return a line as text: UTF-8, or Latin-1 where it is not (as in ml-1m and ml-100k)."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def parsed_lines(
    file: SourceFile,
    parse: Callable[[str], Parsed],
    faults: Faults,
    count: FileCount,
    advance: Callable[[int], None],
    *,
    has_header: bool,
) -> Iterator[Parsed]:
    """Yield what `parse` makes of each line; a line that it refuses with MalformedError is a fault.

    Raises:
        BadLineError: at the first fault, unless they are collected.
        SourceError: the file can't be read.
    """
    number = 0
    with file.open() as stream:
        for block in blocks(file, stream, count, advance):
            for raw in block[:-1].split(b"\n"):
                number += 1
                if has_header and number == 1:
                    continue
                text = decode(raw.removesuffix(b"\r"))
                try:
                    _refuse_unstorable(text)
                    parsed = parse(text)
                except MalformedError as reason:
                    faults.add(Fault(file.name, number, str(reason), text))
                else:
                    count.rows += 1
                    yield parsed


def _refuse_unstorable(text: str) -> None:
    if len(text) > MAX_LINE:
        raise MalformedError(TOO_LONG)
    if "\0" in text:
        raise MalformedError("NUL character")
