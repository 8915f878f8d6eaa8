"""Tells which files of a source are a MovieLens data set, by what they contain."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from dataflix_loader.movielens.errors import NotMovieLensError
from dataflix_loader.movielens.sources import SourceFile, read_some

# Enough for a header and some dozens of lines.
_SNIFF_BYTES = 8192

# Share of the first lines that must look right: a damaged line is to be reported as such, with its number.
_ENOUGH = 0.5


class Format(StrEnum):
    """How the files are written."""

    CSV = "csv"
    """ml-latest, ml-latest-small, ml-20m, ml-25m, ml-32m: comma-separated, with headers."""
    DAT = "dat"
    """ml-1m, ml-10m: fields parted by two colons."""
    UDATA = "udata"
    """ml-100k: u.data by tabs, u.item and u.user by bars."""


class Role(StrEnum):
    """What a file tells."""

    RATINGS = "ratings"
    FILMS = "films"
    LINKS = "links"
    PEOPLE = "people"


@dataclass(frozen=True)
class _Signature:
    """What a file of one format and role looks like: its header, or each of its lines."""

    format: Format
    role: Role
    usual_name: str
    header: bytes | None = None
    line: re.Pattern[bytes] | None = None


_SIGNATURES = (
    _Signature(Format.CSV, Role.RATINGS, "ratings.csv", header=b"userid,movieid,rating,timestamp"),
    _Signature(Format.CSV, Role.FILMS, "movies.csv", header=b"movieid,title,genres"),
    _Signature(Format.CSV, Role.LINKS, "links.csv", header=b"movieid,imdbid,tmdbid"),
    _Signature(Format.DAT, Role.RATINGS, "ratings.dat", line=re.compile(rb"\d+::\d+::[\d.]+::\d+")),
    _Signature(Format.DAT, Role.FILMS, "movies.dat", line=re.compile(rb"\d+::((?!::).)+::((?!::).)*")),
    _Signature(Format.DAT, Role.PEOPLE, "users.dat", line=re.compile(rb"\d+::[MF]::\d+::\d+::.+")),
    _Signature(Format.UDATA, Role.RATINGS, "u.data", line=re.compile(rb"\d+\t\d+\t\d+\t\d+")),
    _Signature(Format.UDATA, Role.FILMS, "u.item", line=re.compile(rb"\d+\|.*(\|[01]){19}")),
    _Signature(Format.UDATA, Role.PEOPLE, "u.user", line=re.compile(rb"\d+\|\d+\|[MF]\|[^|]*\|[^|]*")),
)

LOOKED_FOR = (
    "ratings.csv (userId,movieId,rating,timestamp) and movies.csv (movieId,title,genres); "
    "ratings.dat (user::film::rating::time) and movies.dat (film::title::genres); "
    "or u.data (user, film, rating and time by tabs) and u.item (film|title|...)"
)


@dataclass(frozen=True)
class Layout:
    """The files of one data set."""

    format: Format
    ratings: SourceFile
    films: SourceFile
    links: SourceFile | None
    people: SourceFile | None

    @property
    def files(self) -> dict[Role, SourceFile]:
        """The files that are there, in the order in which they are read."""
        found = {
            Role.FILMS: self.films,
            Role.LINKS: self.links,
            Role.PEOPLE: self.people,
            Role.RATINGS: self.ratings,
        }
        return {role: file for role, file in found.items() if file is not None}


def find_layout(source_name: str, files: Iterable[SourceFile]) -> Layout:
    """Return the data set among the files.

    Raises:
        NotMovieLensError: there is none, or there are several.
        SourceError: a file can't be read.
    """
    places: dict[tuple[PurePosixPath, Format], dict[Role, list[SourceFile]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for file in files:
        if signature := _recognise(file):
            places[file.folder, signature.format][signature.role].append(file)
    whole = {place: roles for place, roles in places.items() if {Role.RATINGS, Role.FILMS} <= roles.keys()}
    if not whole:
        seen = sorted(
            f"{role} in {file.name}" for roles in places.values() for role in roles for file in roles[role]
        )
        raise NotMovieLensError(
            f"{source_name} is not a MovieLens data set. Looked for {LOOKED_FOR}. "
            f"Found {', '.join(seen) if seen else 'nothing of the kind'}."
        )
    shallowest = min(len(folder.parts) for folder, _ in whole)
    candidates = [place for place in whole if len(place[0].parts) == shallowest]
    if len(candidates) > 1:
        names = ", ".join(sorted(whole[place][Role.RATINGS][0].name for place in candidates))
        raise NotMovieLensError(f"{source_name} holds more than one data set ({names}). Name one of them.")
    place = candidates[0]
    roles = {role: _usual_or_largest(place[1], role, found) for role, found in whole[place].items()}
    return Layout(
        place[1], roles[Role.RATINGS], roles[Role.FILMS], roles.get(Role.LINKS), roles.get(Role.PEOPLE)
    )


def _recognise(file: SourceFile) -> _Signature | None:
    with file.open() as stream:
        head = read_some(file, stream, _SNIFF_BYTES)
    lines = head.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if len(head) == _SNIFF_BYTES:
        lines.pop()
    lines = [line.rstrip(b"\r") for line in lines if line.strip()]
    if not lines:
        return None
    header = lines[0].replace(b'"', b"").replace(b" ", b"").lower()
    for signature in _SIGNATURES:
        if signature.header == header:
            return signature
        if signature.line and sum(map(bool, map(signature.line.fullmatch, lines))) >= _ENOUGH * len(lines):
            return signature
    return None


def _usual_or_largest(format_: Format, role: Role, files: list[SourceFile]) -> SourceFile:
    """Choose among files of one kind: ml-100k holds its ratings whole and split in parts."""
    usual = {s.usual_name for s in _SIGNATURES if s.format == format_ and s.role == role}
    return max(files, key=lambda file: (file.base_name in usual, file.size, file.name))
