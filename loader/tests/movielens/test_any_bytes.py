"""The line reader and the parsers on files of arbitrary bytes, cut into blocks anywhere."""

import hashlib
import io
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflix_loader.movielens import lines
from dataflix_loader.movielens.errors import BadLineError, FileError
from dataflix_loader.movielens.formats import Format
from dataflix_loader.movielens.lines import MAX_LINE, FileStats, parse_lines, read_blocks
from dataflix_loader.movielens.ratings import RatingsStream
from dataflix_loader.movielens.rejects import RejectLog
from dataflix_loader.movielens.sources import SourceFile
from dataflix_testkit.long_mode import short_or_long

pytestmark = pytest.mark.timeout(short_or_long(900, 3600))
EXAMPLES = settings(max_examples=short_or_long(900, 10_000))

# Bytes with a meaning for the reader appear more often than in random bytes.
content = st.lists(
    st.binary(max_size=40) | st.sampled_from([b"\n", b"\r\n", b"\xef\xbb\xbf", b"\0", b"1,2,3.5,4\n", b"::"]),
    max_size=30,
).map(b"".join)


def file_of(raw: bytes) -> SourceFile:
    return SourceFile("any", len(raw), lambda: io.BytesIO(raw))


@EXAMPLES
@given(raw=content, size=st.integers(1, 70))
def test_blocks_hold_exactly_the_bytes_of_the_file(raw: bytes, size: int) -> None:
    count = FileStats()
    advanced: list[int] = []
    with mock.patch.object(lines, "BLOCK_BYTES", size):
        found = list(read_blocks(file_of(raw), io.BytesIO(raw), count, advanced.append))
    assert all(block.endswith(b"\n") for block in found)
    # A byte order mark is dropped if the first read holds all of it.
    whole = raw.removeprefix(b"\xef\xbb\xbf") if size >= len(b"\xef\xbb\xbf") else raw
    assert b"".join(found).removesuffix(b"\n") == whole.removesuffix(b"\n")
    assert sum(advanced) == len(raw)
    assert count.digest.hexdigest() == hashlib.sha256(raw).hexdigest()


@EXAMPLES
@given(raw=content, size=st.integers(1, 70), header=st.booleans())
def test_every_line_is_parsed_or_rejected(raw: bytes, size: int, header: bool) -> None:
    rejects = io.StringIO()
    count = FileStats()
    with mock.patch.object(lines, "BLOCK_BYTES", size):
        try:
            good = list(
                parse_lines(file_of(raw), str, RejectLog(rejects), count, lambda _: None, has_header=header)
            )
        except FileError:
            # In another encoding: refused as a whole, before its first line.
            assert count.rows == 0
            return
    assert count.rows == len(good)
    assert not any("\0" in line.text or len(line.text) > MAX_LINE for line in good)


@EXAMPLES
@given(raw=content, format_=st.sampled_from(Format), size=st.integers(1, 70))
def test_ratings_of_any_bytes_are_numbers_or_rejected(raw: bytes, format_: Format, size: int) -> None:
    with mock.patch.object(lines, "BLOCK_BYTES", size):
        stream = RatingsStream(format_, file_of(raw), RejectLog(None), FileStats(), lambda _: None)
        try:
            read = b"".join(iter(stream.read, b""))
        except BadLineError:
            return
    for line in read.decode("ascii").splitlines():
        user, movie, stars, seconds = line.split(",")
        assert int(user) > 0
        assert int(movie) > 0
        assert float(stars) * 2 in range(1, 11)
        assert int(seconds) >= 0


@pytest.mark.parametrize("length", [MAX_LINE, MAX_LINE + 1, 3 * MAX_LINE])
def test_a_line_without_end_takes_no_more_memory_than_the_longest_line(length: int) -> None:
    raw = b"x" * length
    with mock.patch.object(lines, "BLOCK_BYTES", 1000):
        (block,) = read_blocks(file_of(raw), io.BytesIO(raw), FileStats(), lambda _: None)
    assert len(block) <= MAX_LINE + 2
