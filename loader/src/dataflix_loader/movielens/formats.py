"""The file formats of the MovieLens editions: names, headers, delimiters, and what a line looks like."""

import re
from dataclasses import dataclass
from enum import StrEnum


class Format(StrEnum):
    """A format of all files of an edition."""

    CSV = "csv"
    """ml-latest, ml-latest-small, ml-20m, ml-25m, ml-32m: comma-separated, with headers."""
    DAT = "dat"
    """ml-1m, ml-10m: fields separated by two colons."""
    UDATA = "udata"
    """ml-100k: u.data separated by tabs, u.item and u.user by bars."""


class FileKind(StrEnum):
    """What a file holds. The values stand in manifests, so they keep the words of manifest version 1."""

    RATINGS = "ratings"
    MOVIES = "films"
    LINKS = "links"
    USERS = "people"

    @property
    def label(self) -> str:
        """The word for messages."""
        return self.name.lower()


@dataclass(frozen=True)
class FileFormat:
    """The format of one kind of file in one edition.

    Attributes:
        usual_name: the file's name as GroupLens publishes it.
        delimiter: what separates fields.
        header: the first line, in lower case and without quotes and blanks; None for files without a header.
        line: what each line looks like; None for files that are recognised by their header.
    """

    format: Format
    kind: FileKind
    usual_name: str
    delimiter: str
    header: bytes | None = None
    line: re.Pattern[bytes] | None = None


FILE_FORMATS = (
    FileFormat(Format.CSV, FileKind.RATINGS, "ratings.csv", ",", header=b"userid,movieid,rating,timestamp"),
    FileFormat(Format.CSV, FileKind.MOVIES, "movies.csv", ",", header=b"movieid,title,genres"),
    FileFormat(Format.CSV, FileKind.LINKS, "links.csv", ",", header=b"movieid,imdbid,tmdbid"),
    FileFormat(
        Format.DAT,
        FileKind.RATINGS,
        "ratings.dat",
        "::",
        line=re.compile(rb"\s*\d+::\s*\d+::\s*[\d.]+::\s*\d+\s*(?:::\s*)?"),
    ),
    FileFormat(
        Format.DAT, FileKind.MOVIES, "movies.dat", "::", line=re.compile(rb"\d+::((?!::).)+::((?!::).)*")
    ),
    FileFormat(Format.DAT, FileKind.USERS, "users.dat", "::", line=re.compile(rb"\d+::[MF]::\d+::\d+::.+")),
    FileFormat(Format.UDATA, FileKind.RATINGS, "u.data", "\t", line=re.compile(rb"\d+\t\d+\t[\d.]+\t\d+\s*")),
    FileFormat(Format.UDATA, FileKind.MOVIES, "u.item", "|", line=re.compile(rb"\d+\|.*(\|[01]){19}")),
    FileFormat(
        Format.UDATA, FileKind.USERS, "u.user", "|", line=re.compile(rb"\d+\|\d+\|[MF]\|[^|]*\|[^|]*")
    ),
)

EXPECTED_FILES = (
    "ratings.csv (userId,movieId,rating,timestamp) and movies.csv (movieId,title,genres); "
    "ratings.dat (user::movie::rating::time) and movies.dat (movie::title::genres); "
    "or u.data (user, movie, rating and time, separated by tabs) and u.item (movie|title|...)"
)


def plain_header(line: bytes) -> bytes:
    """Return a header in the form of `FileFormat.header`, without empty columns at its end."""
    return line.translate(None, b'" \t\r').lower().rstrip(b",")


def file_format(format_: Format, kind: FileKind) -> FileFormat:
    """Return the format of one kind of file.

    Raises:
        KeyError: editions of this format have no such file.
    """
    for found in FILE_FORMATS:
        if (found.format, found.kind) == (format_, kind):
            return found
    raise KeyError((format_, kind))
