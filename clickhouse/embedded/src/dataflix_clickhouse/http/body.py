"""Request bodies: read in chunks as they arrive, and decompressed."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, Protocol

import lz4.frame
import zstandard

from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import ClientGoneError, query_error

Receive = Callable[[], Awaitable[dict[str, Any]]]

# Content-Encodings that the engine decompresses (FROM INFILE ... COMPRESSION).
_ENGINE_ENCODINGS = ("br", "snappy", "xz")
# Content-Encodings that we decompress: the engine would accept lz4 and zstd data that break off in the
# middle.
_OWN_ENCODINGS = ("", "identity", "deflate", "gzip", "lz4", "zstd")
# A few compressed bytes can become gigabytes: 4 bytes of zstd are a block of 128 KiB. So only a little is
# decompressed at a time, and yielded before more is.
_PIECE_BYTES = 1024
_OUTPUT_BYTES = 1 << 20
# zlib: 15 (largest window) + 16 (gzip header).
_GZIP_WBITS = 31


class _Decompressor(Protocol):
    """Decompresses one frame; `unused_data` is the input after its end."""

    eof: bool
    unused_data: bytes | None

    def decompress(self, data: bytes, /) -> bytes: ...


class _FrameDecompressor:
    """Decompresses a sequence of frames: clickhouse-connect sends one for each block that it inserts."""

    def __init__(self, new_frame: Callable[[], _Decompressor]) -> None:
        self._new_frame = new_frame
        self._frame: _Decompressor | None = None

    def decompress(self, data: bytes) -> bytes:
        out = bytearray()
        rest: bytes | None = data
        while rest:
            self._frame = self._frame or self._new_frame()
            out += self._frame.decompress(rest)
            rest = None
            if self._frame.eof:
                rest, self._frame = self._frame.unused_data, None
        return bytes(out)

    def finish(self) -> None:
        """Raise EOFError if the input ended in the middle of a frame."""
        if self._frame is not None:
            raise EOFError("it ends in the middle of a frame")


def _decompressor(encoding: str) -> _FrameDecompressor | None:
    new_frame: Any
    match encoding:
        case "" | "identity":
            return None
        case "gzip":
            new_frame = partial(zlib.decompressobj, _GZIP_WBITS)
        case "deflate":
            new_frame = zlib.decompressobj
        case "zstd":
            new_frame = zstandard.ZstdDecompressor().decompressobj
        case "lz4":
            new_frame = lz4.frame.LZ4FrameDecompressor
        case _:
            raise query_error(
                ErrorCode.NOT_IMPLEMENTED,
                f"A body in {encoding} can only be an insert's data, with the statement in the URL.",
            )
    return _FrameDecompressor(new_frame)


class Body:
    """The body of a request."""

    def __init__(self, receive: Receive, encoding: str) -> None:
        """Read from an ASGI `receive`.

        Args:
            receive: the ASGI callable.
            encoding: the value of Content-Encoding.

        Raises:
            QueryError: the encoding is unknown.
        """
        self.encoding = encoding.strip().lower()
        if self.encoding not in _OWN_ENCODINGS + _ENGINE_ENCODINGS:
            raise query_error(ErrorCode.NOT_IMPLEMENTED, f"Unknown compression method: {encoding}.")
        self._receive = receive
        self._is_read = asyncio.Event()

    async def raw(self) -> AsyncIterator[bytes]:
        """Yield the body as the client sent it.

        Raises:
            ClientGoneError: the client closed its connection before the end.
        """
        while not self._is_read.is_set():
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            if not message.get("more_body", False):
                self._is_read.set()
            if data := message.get("body", b""):
                yield data

    async def decompressed(self) -> AsyncIterator[bytes]:
        """Yield the decompressed body.

        Raises:
            ClientGoneError: the client closed its connection before the end.
            QueryError: the body is not valid for its Content-Encoding, or only the engine knows this
                encoding.
        """
        decompressor = _decompressor(self.encoding)
        if decompressor is None:
            async for data in self.raw():
                yield data
            return
        try:
            async for data in self.raw():
                out = bytearray()
                for start in range(0, len(data), _PIECE_BYTES):
                    out += decompressor.decompress(data[start : start + _PIECE_BYTES])
                    if len(out) >= _OUTPUT_BYTES:
                        yield bytes(out)
                        out.clear()
                if out:
                    yield bytes(out)
            decompressor.finish()
        except (zlib.error, zstandard.ZstdError, RuntimeError, EOFError) as error:
            raise query_error(
                ErrorCode.CANNOT_READ_ALL_DATA, f"Cannot decompress the body: {error}."
            ) from error

    def for_engine(self) -> tuple[AsyncIterator[bytes], str]:
        """Return the body and the name of its compression, for FROM INFILE."""
        if self.encoding in _ENGINE_ENCODINGS:
            return self.raw(), self.encoding
        return self.decompressed(), "none"

    async def wait_for_disconnect(self) -> None:
        """Wait until the client has sent the whole body and then closed its connection."""
        await self._is_read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def read_up_to(body: AsyncIterator[bytes], limit: int) -> bytes:
    """Read until more than `limit` bytes have arrived or the body ends; return everything that was read."""
    data = bytearray()
    async for chunk in body:
        data += chunk
        if len(data) > limit:
            break
    return bytes(data)


async def prepend(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield data that were read before, then the rest."""
    if head:
        yield head
    async for chunk in rest:
        yield chunk
