"""Reads files line by line, in bytes, and counts and hashes what it reads."""

import csv
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Generic, NamedTuple, TypeVar

from dataflix_loader.movielens.errors import FileError
from dataflix_loader.movielens.rejects import InvalidLineError, Reason, RejectedLine, RejectLog
from dataflix_loader.movielens.sources import SourceFile, read_some

# The longest line of any MovieLens file has a few hundred characters.
MAX_LINE = 1 << 16

# Bytes per read.
BLOCK_BYTES = 1 << 20

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_WINDOWS_ENCODING = "cp1252"

# What words look like if a text of another encoding is read as cp1252: accented letters in a row (Cyrillic,
# Greek, Chinese), symbols between letters (DOS), a capital between small letters (old Macs).
# The library charset-normalizer was not taken: it calls short lists of titles in cp1252 cp1250 or Big5.
_ACCENTED = "À-ÖØ-öø-ÿŠŽšžŸŒœ"
# Apostrophes, quotation marks, dashes, an ellipsis and a middle dot stand between letters in good texts, too.
_PUNCTUATION = "\u2018\u2019\u201c\u201d\u2013\u2014\u2026\u00b7"
_ANY_LETTER = "A-Za-z" + _ACCENTED
_SYMBOL = f"[^\\x00-\\x7f{_ACCENTED}{_PUNCTUATION}\ufffd]"
_NOT_WESTERN = re.compile(
    f"[{_ACCENTED}]{{3}}|[{_ANY_LETTER}]{_SYMBOL}+[{_ANY_LETTER}]|{_SYMBOL}{{3}}|[a-z][À-ÖØ-ÞŠŽŒ][a-z]"
)
_BETWEEN_WORDS = re.compile(r'[\s,;:|"()/]+')
# Some such words exist: Blóðöxi. In a file of another encoding, most are like that.
_MAX_NOT_WESTERN = 1 / 3

# A blank after the closing quote of a field, which csv refuses.
_BLANK_AFTER_QUOTE = re.compile(r'(?<!")"[ \t]+(?=,|$)')

# Excel writes and reads such a line before the header.
_SEPARATOR_LINE = re.compile(rb'"?sep=.?"?[ \r]*', re.IGNORECASE)

# A line of these alone has no content: spreadsheets write the delimiters of empty rows, and DOS ends files
# with 1A.
BLANKS_AND_DELIMITERS = b" \t\r,\x1a"

_SHOWN_WORD = 40

Parsed = TypeVar("Parsed")


class ParsedLine(NamedTuple, Generic[Parsed]):
    """A valid line: its number from 1, its text, and what it means."""

    number: int
    text: str
    value: Parsed


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
            block = block.removeprefix(BYTE_ORDER_MARK)
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


def is_before_header(line: bytes) -> bool:
    """Return whether a line may stand above a header: one without content, or the one that Excel writes."""
    return not line.strip(BLANKS_AND_DELIMITERS) or _SEPARATOR_LINE.fullmatch(line) is not None


def too_long() -> InvalidLineError:
    """Return the error for a line of more than MAX_LINE characters."""
    return InvalidLineError(Reason.TOO_LONG, f"more than {MAX_LINE} characters")


def decode(raw: bytes) -> str:
    """Return a line as people see it in messages, whatever its encoding."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode(_WINDOWS_ENCODING, "replace")


def find_encoding(file: SourceFile) -> str:
    """Return the encoding of a file: UTF-8, or cp1252 (Windows) if none of its lines is longer in UTF-8.

    ml-1m and ml-100k are Latin-1, whose letters are the same in cp1252. A file with both is UTF-8 with
    damaged lines: to read those as cp1252 would turn one letter into two.

    Raises:
        FileError: it can't be read, or is in another encoding.
    """
    n_words = n_not_western = 0
    example = ""
    has_damaged = False
    with file.open() as stream:
        for block in read_blocks(file, stream, FileStats(), lambda _: None):
            if block.isascii():
                continue
            for raw in block.split(b"\n"):
                if raw.isascii():
                    continue
                try:
                    raw.decode("utf-8")
                except UnicodeDecodeError:
                    has_damaged = True
                    for word in _BETWEEN_WORDS.split(decode(raw[: MAX_LINE + 1])):
                        n_words += not word.isascii()
                        if _NOT_WESTERN.search(word):
                            n_not_western += 1
                            example = example or word[:_SHOWN_WORD]
                else:
                    return "utf-8"
    if n_not_western > n_words * _MAX_NOT_WESTERN:
        raise FileError(
            f"{file.name} is neither UTF-8 nor {_WINDOWS_ENCODING} (Windows, Western Europe): it "
            f"would have words like {example!r}. Save it as UTF-8."
        )
    return _WINDOWS_ENCODING if has_damaged else "utf-8"


def parse_lines(
    file: SourceFile,
    parse: Callable[[str], Parsed],
    rejects: RejectLog,
    stats: FileStats,
    advance: Callable[[int], None],
    *,
    has_header: bool,
) -> Iterator[ParsedLine[Parsed]]:
    """Yield the result of `parse` for each line. A line that raises InvalidLineError goes to `rejects`.

    Lines without content and repeated headers are skipped: programs write them at the end of files, and
    joined files have them in the middle.

    Raises:
        BadLineError: at the first invalid line, unless they are collected.
        FileError: the file can't be read.
    """
    encoding = find_encoding(file)
    number = 0
    header = b""
    with file.open() as stream:
        for block in read_blocks(file, stream, stats, advance):
            for raw in block[:-1].split(b"\n"):
                number += 1
                line = raw.rstrip(b"\r").removeprefix(BYTE_ORDER_MARK)
                if has_header and not header:
                    header = b"" if is_before_header(line) else line
                    continue
                if not line.strip(BLANKS_AND_DELIMITERS) or (has_header and line == header):
                    continue
                try:
                    text = _storable(line, encoding)
                    parsed = parse(text)
                except InvalidLineError as reason:
                    rejects.add(RejectedLine(file.name, number, str(reason), decode(line)))
                else:
                    stats.rows += 1
                    yield ParsedLine(number, text, parsed)


def split_fields(line: str, delimiter: str, count: int) -> list[str]:
    """Return the fields of a line without quotes. Empty fields after the last one are dropped.

    Raises:
        InvalidLineError: it has another number of fields.
    """
    fields = line.split(delimiter)
    while len(fields) > count and not fields[-1].strip():
        fields.pop()
    if len(fields) != count:
        raise InvalidLineError(Reason.WRONG_FIELDS, f"{len(fields)} instead of {count}")
    return fields


def split_csv(line: str, count: int) -> list[str]:
    """Return the fields of a line of CSV, without the blanks around them; see `split_fields`.

    Raises:
        InvalidLineError: it has another number of fields, or its quotes are wrong.
    """
    if '"' not in line:
        return [field.strip() for field in split_fields(line, ",", count)]
    try:
        plain = _BLANK_AFTER_QUOTE.sub('"', line)
        fields = next(csv.reader([plain], strict=True, skipinitialspace=True), [])
    except csv.Error as error:
        raise InvalidLineError(Reason.BAD_QUOTES, str(error)) from error
    while len(fields) > count and not fields[-1].strip():
        fields.pop()
    if len(fields) != count:
        raise InvalidLineError(Reason.WRONG_FIELDS, f"{len(fields)} instead of {count}")
    return [field.strip() for field in fields]


def _storable(line: bytes, encoding: str) -> str:
    try:
        text = line.decode(encoding)
    except UnicodeDecodeError as error:
        wrong = line[error.start : error.start + 1].hex()
        others = ", as other lines of the file are" if encoding == "utf-8" else ""
        raise InvalidLineError(
            Reason.BAD_ENCODING, f"byte {wrong} at {error.start + 1} is not {encoding}{others}"
        ) from error
    if len(text) > MAX_LINE:
        raise too_long()
    if "\0" in text:
        raise InvalidLineError(Reason.NUL_CHARACTER)
    return text
