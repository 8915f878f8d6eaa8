"""Request bodies, read as they come and decompressed on the way."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, Protocol

import lz4.frame
import zstandard

from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import ClientGoneError, refused

Receive = Callable[[], Awaitable[dict[str, Any]]]

# What is left to the engine in FROM INFILE, by the name in Content-Encoding.
_ENGINE_ENCODINGS = ("br", "snappy", "xz")
# What is undone here, though the engine could: it takes lz4 and zstd that break off in the middle for whole.
_OUR_ENCODINGS = ("", "identity", "deflate", "gzip", "lz4", "zstd")
# zlib: a gzip header is expected, with the largest window.
_GZIP_WINDOW = 31


class _Decompressor(Protocol):
    """What undoes one frame; `unused_data` is what came after its end."""

    eof: bool
    unused_data: bytes | None

    def decompress(self, data: bytes, /) -> bytes: ...


class _Frames:
    """Undoes frames that follow one another: clickhouse-connect makes one of each block that it inserts."""

    def __init__(self, begin: Callable[[], _Decompressor]) -> None:
        self._begin = begin
        self._frame: _Decompressor | None = None

    def decompress(self, data: bytes) -> bytes:
        out = bytearray()
        rest: bytes | None = data
        while rest:
            self._frame = self._frame or self._begin()
            out += self._frame.decompress(rest)
            rest = None
            if self._frame.eof:
                rest, self._frame = self._frame.unused_data, None
        return bytes(out)

    def end(self) -> None:
        """Raise EOFError in the middle of a frame."""
        if self._frame is not None:
            raise EOFError("it ends in the middle of a frame")


def _frames(encoding: str) -> _Frames | None:
    begin: Any
    match encoding:
        case "" | "identity":
            return None
        case "gzip":
            begin = partial(zlib.decompressobj, _GZIP_WINDOW)
        case "deflate":
            begin = zlib.decompressobj
        case "zstd":
            begin = zstandard.ZstdDecompressor().decompressobj
        case "lz4":
            begin = lz4.frame.LZ4FrameDecompressor
        case _:
            raise refused(
                ErrorCode.NOT_IMPLEMENTED,
                f"A body in {encoding} can only be an insert's data, with the statement in the URL.",
            )
    return _Frames(begin)


class Body:
    """A request's body."""

    def __init__(self, receive: Receive, encoding: str) -> None:
        """Take the body that `receive` gives, compressed as Content-Encoding says.

        Raises:
            QueryError: nobody knows the encoding.
        """
        self.encoding = encoding.strip().lower()
        if self.encoding not in _OUR_ENCODINGS + _ENGINE_ENCODINGS:
            raise refused(ErrorCode.NOT_IMPLEMENTED, f"Unknown compression method: {encoding}.")
        self._receive = receive
        self._is_read = asyncio.Event()

    async def raw(self) -> AsyncIterator[bytes]:
        """Yield the body as it was sent.

        Raises:
            ClientGoneError: the client went away before its end.
        """
        while not self._is_read.is_set():
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            if not message.get("more_body", False):
                self._is_read.set()
            if data := message.get("body", b""):
                yield data

    async def plain(self) -> AsyncIterator[bytes]:
        """Yield the body, decompressed.

        Raises:
            ClientGoneError: the client went away before its end.
            QueryError: the body is not what its Content-Encoding says, or only the engine knows that.
        """
        frames = _frames(self.encoding)
        if frames is None:
            async for data in self.raw():
                yield data
            return
        try:
            async for data in self.raw():
                if out := frames.decompress(data):
                    yield out
            frames.end()
        except (zlib.error, zstandard.ZstdError, RuntimeError, EOFError) as error:
            raise refused(ErrorCode.CANNOT_READ_ALL_DATA, f"Cannot decompress the body: {error}.") from error

    def for_engine(self) -> tuple[AsyncIterator[bytes], str]:
        """Return the body and how it is compressed, as FROM INFILE takes it."""
        if self.encoding in _ENGINE_ENCODINGS:
            return self.raw(), self.encoding
        return self.plain(), "none"

    async def client_gone(self) -> None:
        """Return when the client closes its connection after having sent the whole body."""
        await self._is_read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def read_up_to(body: AsyncIterator[bytes], limit: int) -> bytes:
    """Read until there are more than `limit` bytes or the body ends, and return all that was read."""
    data = bytearray()
    async for chunk in body:
        data += chunk
        if len(data) > limit:
            break
    return bytes(data)


async def with_head(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what has been read already, then the rest."""
    if head:
        yield head
    async for chunk in rest:
        yield chunk
