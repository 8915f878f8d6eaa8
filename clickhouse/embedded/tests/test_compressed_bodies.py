"""Compressed bodies that arrive in pieces of any size."""

import asyncio
import gzip
import zlib
from collections.abc import Callable
from typing import Any

import lz4.frame
import pytest
import requests
import zstandard

from dataflix_clickhouse.errors import QueryError
from dataflix_clickhouse.http.body import Body
from dataflix_testkit import ClickHouseServer

BLOCKS = [b"one" * 5000, b"two" * 5000, b"three" * 5000]


COMPRESSIONS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("lz4", lz4.frame.compress),
    ("zstd", zstandard.ZstdCompressor().compress),
]


def read(sent: bytes, encoding: str, piece: int) -> bytes:
    pieces = iter([sent[start : start + piece] for start in range(0, len(sent), piece)] + [b""])

    async def receive() -> dict[str, Any]:
        body = next(pieces)
        return {"type": "http.request", "body": body, "more_body": bool(body)}

    async def whole() -> bytes:
        return b"".join([data async for data in Body(receive, encoding).decompressed()])

    return asyncio.run(whole())


@pytest.mark.parametrize("piece", [1, 50, 100_000])
@pytest.mark.parametrize(("encoding", "compress"), COMPRESSIONS)
def test_consecutive_frames_are_one_body(
    encoding: str, compress: Callable[[bytes], bytes], piece: int
) -> None:
    assert read(b"".join(compress(block) for block in BLOCKS), encoding, piece) == b"".join(BLOCKS)


@pytest.mark.parametrize("cut", [1, 4, 20])
@pytest.mark.parametrize(("encoding", "compress"), COMPRESSIONS)
def test_an_incomplete_frame_is_refused(encoding: str, compress: Callable[[bytes], bytes], cut: int) -> None:
    with pytest.raises(QueryError, match="Cannot decompress the body"):
        read(b"".join(compress(block) for block in BLOCKS)[:-cut], encoding, 50)


@pytest.mark.parametrize(("encoding", "compress"), COMPRESSIONS)
@pytest.mark.parametrize("statement_in_body", [False, True])
def test_an_insert_with_an_incomplete_frame_inserts_nothing(
    server: ClickHouseServer, encoding: str, compress: Callable[[bytes], bytes], *, statement_in_body: bool
) -> None:
    client = server.client("dataflix_admin")
    client.command("CREATE OR REPLACE TABLE analytics.broken_off (n Int64) ENGINE = MergeTree ORDER BY n")
    statement = "INSERT INTO analytics.broken_off FORMAT CSV\n"
    rows = "".join(f"{n}\n" for n in range(2000))
    answer = requests.post(
        f"http://{server.host}:{server.port}/",
        params={} if statement_in_body else {"query": statement},
        data=compress(((statement if statement_in_body else "") + rows).encode())[:-4],
        headers={
            "Content-Encoding": encoding,
            "X-ClickHouse-User": "dataflix_admin",
            "X-ClickHouse-Key": server.environ["DATAFLIX_CLICKHOUSE_ADMIN_PASSWORD"],
        },
        timeout=30,
    )
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (500, "33")
    assert client.query("SELECT count() FROM analytics.broken_off").result_rows == [(0,)]
