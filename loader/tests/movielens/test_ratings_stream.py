"""Ratings are checked in blocks; where the blocks end makes no difference."""

import csv
import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dataflix_loader.movielens import lines, ratings
from dataflix_loader.movielens.errors import BadLineError
from dataflix_loader.movielens.formats import Format
from dataflix_loader.movielens.lines import FileStats
from dataflix_loader.movielens.ratings import RatingsStream
from dataflix_loader.movielens.rejects import InvalidLineError, RejectLog
from dataflix_loader.movielens.sources import SourceFile

DELIMITERS = {Format.CSV: b",", Format.DAT: b"::", Format.UDATA: b"\t"}

good_fields = st.tuples(
    st.integers(1, 9 * 10**18 - 1).map(str),
    st.integers(1, 9 * 10**18 - 1).map(str),
    st.sampled_from(["0.5", "1", "1.0", "1.5", "2", "2.5", "3.0", "3.5", "4", "4.5", "5", "5.0"]),
    st.integers(0, 10**10 - 1).map(str),
)
bad_lines = st.one_of(
    st.sampled_from(
        [b"1,2,5.5,3", b"1,2,0,3", b"1,2,4.2,3", b"0,2,4,3", b"1,-2,4,3", b"1,2,4", b"1,2,4,3,5"]
    ),
    st.sampled_from(
        [b"1,2,x,3", b"1,2,,3", b"1,2,4,", b'"1,2,4,3', b"1,2,4,3.5", b"\\.", b"1,2,4,99999999999"]
    ),
    st.binary(max_size=30).map(lambda raw: b"x" + raw.replace(b"\n", b"").rstrip(b"\r")),
)


class Rejects(io.StringIO):
    """Text that a RejectLog object can write to."""


def stream_of(format_: Format, content: bytes, rejects: Rejects | None) -> tuple[RatingsStream, FileStats]:
    file = SourceFile("ratings", len(content), lambda: io.BytesIO(content))
    count = FileStats()
    return RatingsStream(format_, file, RejectLog(rejects), count, lambda _: None), count


def read_all(stream: RatingsStream) -> bytes:
    return b"".join(iter(stream.read, b""))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BLOCK_BYTES", 64)


@given(
    format_=st.sampled_from(Format),
    content=st.lists(st.tuples(st.booleans(), good_fields, bad_lines), max_size=30),
    line_end=st.sampled_from([b"\n", b"\r\n"]),
    is_ended=st.booleans(),
)
@example(format_=Format.CSV, content=[], line_end=b"\n", is_ended=True)
@example(
    format_=Format.DAT, content=[(False, ("1", "1", "1", "1"), b"x\r\0y")], line_end=b"\n", is_ended=True
)
def test_good_lines_arrive_and_bad_ones_are_numbered(
    format_: Format,
    content: list[tuple[bool, tuple[str, ...], bytes]],
    line_end: bytes,
    is_ended: bool,
) -> None:
    header = [b"userId,movieId,rating,timestamp"] if format_ is Format.CSV else []
    rows = [
        DELIMITERS[format_].join(field.encode() for field in fields)
        if good
        else bad.replace(b",", DELIMITERS[format_])
        for good, fields, bad in content
    ]
    whole = header + rows
    # A last line without an end must hold something to be a line.
    raw = line_end.join(whole) + (line_end if whole and (is_ended or not whole[-1]) else b"")
    rejects = Rejects()
    stream, count = stream_of(format_, raw, rejects)

    expected = [",".join(fields) for good, fields, _ in content if good]
    assert read_all(stream).decode().splitlines() == expected
    assert count.rows == len(expected)

    first = len(header) + 1
    good_lines = [first + place for place, (good, _, _) in enumerate(content) if good]
    bad_numbers = [first + place for place, (good, _, _) in enumerate(content) if not good]
    assert [stream.line_of(ordinal + 1) for ordinal in range(len(good_lines))] == good_lines
    assert [int(row["line"]) for row in csv.DictReader(io.StringIO(rejects.getvalue()))] == bad_numbers


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1,2,3", "wrong number of fields: 3 instead of 4"),
        (b"1,2,3,4,5", "wrong number of fields: 5 instead of 4"),
        (b"0,2,3,4", "bad user id"),
        (b"1,two,3,4", "bad movie id"),
        (b"1,2,good,4", "bad rating"),
        (b"1,2,5.5,4", "rating out of range"),
        (b"1,2,-1,4", "rating out of range"),
        (b"1,2,3.25,4", "rating out of range"),
        (b"1,2,3,noon", "bad time"),
        (b"1" * 70_000, "line too long"),
    ],
)
def test_reasons_are_named(line: bytes, reason: str) -> None:
    with pytest.raises(InvalidLineError, match=reason):
        ratings.parse_rating(line[: lines.MAX_LINE + 1], ",")


def test_the_first_bad_line_ends_the_import_unless_rejects_are_collected() -> None:
    content = b"userId,movieId,rating,timestamp\n" + b"1,2,4.0,1000000000\n" * 20 + b"1,2,9,1000000000\n"
    stream, _ = stream_of(Format.CSV, content, None)
    with pytest.raises(BadLineError, match=r"ratings, line 22: rating out of range: .* '1,2,9,1000000000'"):
        read_all(stream)


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    rejects = Rejects()
    content = b"1::2::4::5\n" + b"9" * 1_000_000 + b"\n1::3::4::5\n"
    stream, _ = stream_of(Format.DAT, content, rejects)
    assert read_all(stream) == b"1,2,4,5\n1,3,4,5\n"
    assert [line.split(",")[1] for line in rejects.getvalue().splitlines()[1:]] == ["2"]
    assert len(rejects.getvalue()) < 2000


def test_the_hash_is_of_the_bytes_in_the_file(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf1::2::4::5\r\n1::3::4::5"
    stream, count = stream_of(Format.DAT, content, None)
    assert read_all(stream) == b"1,2,4,5\n1,3,4,5\n"
    assert count.digest.hexdigest() == hashlib.sha256(content).hexdigest()
