"""Finds the files of a MovieLens data set in a folder or zip file, by what they contain."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dataflix_loader.movielens.errors import NotMovieLensError
from dataflix_loader.movielens.formats import (
    EXPECTED_FILES,
    FILE_FORMATS,
    FileFormat,
    FileKind,
    Format,
    plain_header,
)
from dataflix_loader.movielens.lines import is_before_header
from dataflix_loader.movielens.sources import SourceFile, open_source, read_some

# Enough for a header and some dozens of lines.
_SNIFF_BYTES = 8192

# Some programs write the mark of UTF-8 twice.
_UTF8_MARKS = re.compile(rb"\A(?:\xef\xbb\xbf)+")
_UTF16_MARK = re.compile(rb"\A(?:\xff\xfe|\xfe\xff)")

# How many files that nearly match a message names, and how much of their first line.
_MAX_HINTS = 3
_SHOWN_HEADER = 100

# Share of the first lines that must match: the import reports an invalid line later, with its number.
_MIN_MATCHING_SHARE = 0.5


@dataclass(frozen=True)
class Dataset:
    """The files of one data set."""

    format: Format
    ratings: SourceFile
    movies: SourceFile
    links: SourceFile | None
    users: SourceFile | None

    @property
    def files(self) -> dict[FileKind, SourceFile]:
        """The files that exist, in the order in which they are read."""
        found = {
            FileKind.MOVIES: self.movies,
            FileKind.LINKS: self.links,
            FileKind.USERS: self.users,
            FileKind.RATINGS: self.ratings,
        }
        return {kind: file for kind, file in found.items() if file is not None}


@contextmanager
def open_dataset(path: Path) -> Iterator[Dataset]:
    """Yield the data set in a folder or zip file.

    Raises:
        NotMovieLensError: there is none, or there are several.
        FileError: a file can't be read.
    """
    with open_source(path) as files:
        yield find_dataset(str(path), files)


def find_dataset(source_name: str, files: Iterable[SourceFile]) -> Dataset:
    """Return the data set among the files.

    Args:
        source_name: name of the folder or zip file, for error messages.
        files: all its files.

    Raises:
        NotMovieLensError: there is none, or there are several.
        FileError: a file can't be read.
    """
    places: dict[tuple[PurePosixPath, Format], dict[FileKind, list[SourceFile]]] = defaultdict(
        lambda: defaultdict(list)
    )
    hints: list[str] = []
    for file in files:
        head = _head(file)
        if recognised := _recognise(head):
            places[file.folder, recognised.format][recognised.kind].append(file)
        elif hint := _why_unrecognised(head):
            hints.append(f" {file.name} {hint}.")
    complete = {
        place: kinds for place, kinds in places.items() if {FileKind.RATINGS, FileKind.MOVIES} <= kinds.keys()
    }
    if not complete:
        seen = sorted(
            f"{kind.label} in {file.name}"
            for kinds in places.values()
            for kind in kinds
            for file in kinds[kind]
        )
        raise NotMovieLensError(
            f"{source_name} is not a MovieLens data set. Looked for {EXPECTED_FILES}. "
            f"Found {', '.join(seen) if seen else 'none of these'}.{''.join(hints[:_MAX_HINTS])}"
        )
    min_depth = min(len(folder.parts) for folder, _ in complete)
    candidates = [place for place in complete if len(place[0].parts) == min_depth]
    if len(candidates) > 1:
        names = ", ".join(sorted(complete[place][FileKind.RATINGS][0].name for place in candidates))
        raise NotMovieLensError(f"{source_name} holds more than one data set ({names}). Name one of them.")
    place = candidates[0]
    kinds = {kind: _usual_or_largest(place[1], kind, found) for kind, found in complete[place].items()}
    return Dataset(
        place[1],
        kinds[FileKind.RATINGS],
        kinds[FileKind.MOVIES],
        kinds.get(FileKind.LINKS),
        kinds.get(FileKind.USERS),
    )


def _head(file: SourceFile) -> bytes:
    with file.open() as stream:
        return read_some(file, stream, _SNIFF_BYTES)


def _recognise(head: bytes) -> FileFormat | None:
    lines = _UTF8_MARKS.sub(b"", head).split(b"\n")
    if len(head) == _SNIFF_BYTES:
        lines.pop()
    lines = [line.rstrip(b"\r") for line in lines if not is_before_header(line)]
    if not lines:
        return None
    header = plain_header(lines[0])
    for known in FILE_FORMATS:
        if known.header == header:
            return known
    if _is_similar(head):
        # Lines below a header may look like those of another edition.
        return None
    for known in FILE_FORMATS:
        if known.line is None:
            continue
        n_matching = sum(map(bool, map(known.line.fullmatch, lines)))
        if n_matching >= _MIN_MATCHING_SHARE * len(lines):
            return known
    return None


def _why_unrecognised(head: bytes) -> str:
    """Return why a file that is meant to be of MovieLens is not recognised; empty if it is another file."""
    if b"\0" in head:
        # The letters of a header, in UTF-16 and UTF-32 of either order, with the mark or without.
        text = _UTF16_MARK.sub(b"", head.replace(b"\0", b""))
        return "is encoded in UTF-16 or UTF-32: save it as UTF-8" if _is_similar(text) else ""
    if not _is_similar(head):
        return ""
    first = _first_line(head)
    if b"\n" not in head and b"\r" in head:
        return "ends its lines with CR alone: save it with LF or CRLF"
    for delimiter, name in ((b";", "semicolons"), (b"\t", "tabs")):
        if delimiter in first and b"," not in first:
            return f"is separated by {name}: save it with commas"
    columns = first.decode("utf-8", "replace")[:_SHOWN_HEADER]
    return f"begins with the columns {columns!r}: it must have exactly those above, in their order"


def _is_similar(head: bytes) -> bool:
    """Return whether the first line names the columns of a known header, among others or in another order."""
    names = set(re.split(rb"[,;\t]", plain_header(_first_line(head).replace(b"\t", b";"))))
    return any(known.header and set(known.header.split(b",")) <= names for known in FILE_FORMATS)


def _usual_or_largest(format_: Format, kind: FileKind, files: list[SourceFile]) -> SourceFile:
    """Choose among files of one kind: ml-100k holds its ratings in one file and again in parts."""
    usual = {known.usual_name for known in FILE_FORMATS if (known.format, known.kind) == (format_, kind)}
    return max(files, key=lambda file: (file.base_name in usual, file.size, file.name))


def _first_line(head: bytes) -> bytes:
    return next((line for line in _UTF8_MARKS.sub(b"", head).splitlines() if not is_before_header(line)), b"")
