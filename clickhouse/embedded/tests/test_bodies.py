"""Compressed bodies, in whatever pieces the network brings them."""

import asyncio
import gzip
import zlib
from collections.abc import Callable
from typing import Any

import lz4.frame
import pytest
import zstandard

from dataflix_clickhouse.bodies import Body

BLOCKS = [b"one" * 5000, b"two" * 5000, b"three" * 5000]


@pytest.mark.parametrize("piece", [1, 50, 100_000])
@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("lz4", lz4.frame.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
    ],
)
def test_frames_that_follow_one_another_are_one_body(
    encoding: str, compress: Callable[[bytes], bytes], piece: int
) -> None:
    sent = b"".join(compress(block) for block in BLOCKS)
    pieces = iter([sent[start : start + piece] for start in range(0, len(sent), piece)] + [b""])

    async def receive() -> dict[str, Any]:
        body = next(pieces)
        return {"type": "http.request", "body": body, "more_body": bool(body)}

    async def read() -> bytes:
        return b"".join([data async for data in Body(receive, encoding).plain()])

    assert asyncio.run(read()) == b"".join(BLOCKS)
