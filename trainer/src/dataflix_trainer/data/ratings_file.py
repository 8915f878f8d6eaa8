"""Reads ratings from a MovieLens folder or zip file, or from one CSV or Parquet file."""

import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dataflix_trainer.data.rating_scale import RatingScale
from dataflix_trainer.data.ratings import Ratings, factorize
from dataflix_trainer.errors import DataError

SYNONYMS: dict[str, frozenset[str]] = {
    "user": frozenset({"user", "userid", "uid", "userindex", "customerid", "reviewerid"}),
    "item": frozenset({"item", "itemid", "iid", "movie", "movieid", "film", "filmid", "productid", "asin"}),
    "rating": frozenset({"rating", "ratings", "score", "stars", "overall"}),
    "timestamp": frozenset({"timestamp", "time", "date", "datetime", "ts", "ratedat", "unixreviewtime"}),
    "count": frozenset({"count", "counts", "plays", "playcount", "quantity", "listens", "views", "times"}),
}
PARQUET_MAGIC = b"PAR1"
SNIFF_BYTES = 8192
# MovieLens archives nest their files at most two folders deep.
MAX_DEPTH = 3
# Files of MovieLens that hold all ratings. ml-100k also has them split in parts. A test of the loader checks
# that both readers agree: loader/tests/movielens/test_trainer_formats.py.
USUAL_NAMES = ("ratings.csv", "ratings.dat", "u.data", "ratings.parquet")
EXPECTED = (
    "a MovieLens folder or zip file (ratings.csv, ratings.dat or u.data), or a CSV or Parquet file with the "
    "columns user, item, rating and timestamp; without rating, each row is an event, or as many as count says"
)
MICROSECONDS = 1_000_000
# RuntimeError: an encrypted archive, or one packed in a way that Python cannot read.
_UNREADABLE = (
    *(OSError, EOFError, MemoryError, RuntimeError, UnicodeError, lzma.LZMAError, pa.ArrowException),
    *(struct.error, zipfile.BadZipFile, zlib.error),
)
# Later or earlier moments do not fit into 64 bits of microseconds.
MAX_SECONDS = 9e12
_DAT = re.compile(rb"\d+::\d+::[\d.]+::\d+\r?")
_TABS = re.compile(rb"\d+\t\d+\t[\d.]+\t\d+\r?")
_COLUMNS = ["user", "item", "rating", "timestamp"]
# A file has a rating for each row, or counts of what was done, or neither.
_NEEDED = ("user", "item", "timestamp")


@dataclass(frozen=True)
class _Source:
    """A file, or a member of a zip file."""

    name: str
    path: Path
    member: str | None = None

    @property
    def base_name(self) -> str:
        return self.name.rpartition("/")[2].lower()

    def read(self, size: int = -1) -> bytes:
        if self.member is None:
            with self.path.open("rb") as stream:
                return stream.read(size)
        with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as stream:
            return stream.read(size)


def read_ratings(path: Path, scale: RatingScale | None = None) -> Ratings:
    """Read all ratings of a file or folder.

    Args:
        path: of the file, folder or zip file.
        scale: what its ratings mean; None takes the narrowest usual scale that holds them.

    Raises:
        DataError: they cannot be read; the message names the file and what is wrong with it.
    """
    try:
        source, kind = _find(path)
        table = _table(source, kind)
        facts = {"source": path.name, "file": source.name, "layout": kind}
        return _ratings(table, source.name, facts, scale)
    except _UNREADABLE as error:
        raise DataError(f"{path} can't be read: {error}") from error


def _find(path: Path) -> tuple[_Source, str]:
    """Return the file that holds the ratings, and its layout."""
    if not path.exists():
        raise DataError(f"{path} does not exist; expected: {EXPECTED}")
    if path.is_dir():
        found = (file for depth in range(MAX_DEPTH) for file in sorted(path.glob("*/" * depth + "*")))
        sources = [_Source(file.relative_to(path).as_posix(), file) for file in found if file.is_file()]
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            # macOS adds a folder of metadata files that look like the real ones.
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
        sources = [_Source(name, path, name) for name in sorted(names) if not name.startswith("__MACOSX/")]
    else:
        sources = [_Source(path.name, path)]
    return _best(path, sources)


def _best(path: Path, sources: Iterable[_Source]) -> tuple[_Source, str]:
    recognised = [(source, kind) for source in sources if (kind := _kind(source.read(SNIFF_BYTES)))]
    if not recognised:
        raise DataError(f"{path} holds no ratings in a known layout; expected: {EXPECTED}")
    usual = [pair for pair in recognised if pair[0].base_name in USUAL_NAMES] or recognised
    if len(usual) > 1:
        names = ", ".join(source.name for source, _ in usual)
        raise DataError(f"{path} holds several files of ratings ({names}); name one of them")
    return usual[0]


def _kind(head: bytes) -> str | None:
    if head.startswith(PARQUET_MAGIC):
        return "parquet"
    first = head.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0]
    if _DAT.fullmatch(first):
        return "dat"
    if _TABS.fullmatch(first):
        return "udata"
    names = first.decode("utf-8", "replace").strip().split(_delimiter(first))
    return "csv" if _places(names) is not None else None


def _delimiter(header: bytes) -> str:
    return max(",;\t", key=lambda mark: header.count(mark.encode()))


def _places(names: list[str]) -> dict[str, int] | None:
    """Return the position of each column that is wanted; None if one is missing or there twice."""
    # RecBole's atomic files have the type after a colon.
    plain = [re.sub(r"[^a-z]", "", name.lower().partition(":")[0]) for name in names]
    places = {
        wanted: [at for at, name in enumerate(plain) if name in synonyms]
        for wanted, synonyms in SYNONYMS.items()
    }
    found = {wanted: at[0] for wanted, at in places.items() if len(at) == 1}
    if any(wanted not in found for wanted in _NEEDED) or len(places["rating"]) > 1:
        return None
    if "rating" in found:
        # A count beside a rating says nothing that the rating does not.
        found.pop("count", None)
    return found


def _table(source: _Source, kind: str) -> pa.Table:
    """Return a table with the columns user, item and timestamp, and rating or count if it has them."""
    content = source.read()
    if kind == "parquet":
        file = _arrow_file(content)
        names = pq.read_schema(file).names
        places = _places(names)
        if places is None:
            raise DataError(
                f"{source.name} must have one column each for {', '.join(_NEEDED)}, and at most one rating; "
                f"it has: {', '.join(names)}"
            )
        wanted = [names[place] for place in places.values()]
        return pq.read_table(file, columns=wanted).select(wanted).rename_columns(list(places))
    if kind == "csv":
        delimiter = _delimiter(content.partition(b"\n")[0])
        table = pyarrow.csv.read_csv(
            _arrow_file(content), parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter)
        )
        places = _places(table.column_names)
        if places is None:
            raise DataError(f"{source.name} must have one column each for {', '.join(_NEEDED)}")
        return table.select(list(places.values())).rename_columns(list(places))
    if kind == "dat":
        content = content.replace(b"::", b"\t")
    return pyarrow.csv.read_csv(
        _arrow_file(content),
        read_options=pyarrow.csv.ReadOptions(column_names=_COLUMNS),
        parse_options=pyarrow.csv.ParseOptions(delimiter="\t"),
    )


def _arrow_file(content: bytes) -> pa.BufferReader:
    """Return a file in Arrow's own memory.

    Arrow's threads release what they have read. Where that is Python's, a thread that does so while the
    process ends aborts it.
    """
    stream = pa.BufferOutputStream()
    stream.write(content)
    return pa.BufferReader(stream.getvalue())


def _ratings(table: pa.Table, name: str, facts: dict[str, Any], scale: RatingScale | None) -> Ratings:
    missing = [column for column in table.column_names if table[column].null_count]
    if missing:
        raise DataError(f"{name}: {table[missing[0]].null_count} rows have no {missing[0]}")
    users, items = _ids(table["user"]), _ids(table["item"])
    times = _microseconds(table["timestamp"], name)
    if "rating" not in table.column_names:
        if scale is not None:
            raise DataError(f"{name} has no ratings that --scale could explain")
        has_counts = "count" in table.column_names
        counts = _floats(table["count"], name) if has_counts else np.ones(len(users), dtype=np.float32)
        return Ratings.from_events(users, items, counts, times, facts | {"scale": "none"})
    values = _floats(table["rating"], name)
    if len(values) == 0:
        raise DataError(f"{facts['source']} holds no rating")
    if not np.isfinite(values).all():
        raise DataError(f"{name}: {np.count_nonzero(~np.isfinite(values))} ratings are not numbers")
    try:
        scale = scale or RatingScale.recognise(values)
        stars = scale.stars(values)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    return Ratings.from_columns(users, items, stars, times, facts | {"scale": str(scale)})


def _ids(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return whole numbers as they are, and the codes of texts."""
    if pa.types.is_integer(column.type):
        return np.asarray(column.to_numpy(), dtype=np.int64)
    return factorize(column.cast(pa.string()).to_numpy()).astype(np.int64)


def _floats(column: pa.ChunkedArray, name: str) -> NDArray[np.float32]:
    try:
        return np.asarray(column.cast(pa.float32()).to_numpy(), dtype=np.float32)
    except pa.ArrowInvalid as error:
        raise DataError(f"{name}: a rating is not a number ({error})") from error


def _microseconds(column: pa.ChunkedArray, name: str) -> NDArray[np.int64]:
    """Return microseconds since 1970 of seconds, dates or timestamps; those without a zone are UTC."""
    try:
        if pa.types.is_temporal(column.type):
            moments = column.cast(pa.timestamp("us", getattr(column.type, "tz", None)))
            return np.asarray(pc.cast(moments, pa.int64()).to_numpy(), dtype=np.int64)
        seconds = np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    except pa.ArrowInvalid as error:
        raise DataError(f"{name}: a time is neither seconds since 1970 nor a date ({error})") from error
    if not (np.abs(seconds) <= MAX_SECONDS).all():
        wrong = seconds[~(np.abs(seconds) <= MAX_SECONDS)][0]
        raise DataError(f"{name}: {wrong} is no time in seconds since 1970")
    return np.asarray(np.round(seconds * MICROSECONDS), dtype=np.int64)
