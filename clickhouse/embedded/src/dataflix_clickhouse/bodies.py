"""Request bodies, read as they come and decompressed on the way."""

import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import lz4.frame
import zstandard

from dataflix_clickhouse.errors import ErrorCode, QueryError

Receive = Callable[[], Awaitable[dict[str, Any]]]


class ClientGoneError(Exception):
    """The client closed the connection before its request was answered."""


class Decompressor(Protocol):
    """What zlib, zstandard and lz4 have in common."""

    def decompress(self, data: bytes, /) -> bytes: ...


_WINDOW_GZIP = 31


def decompressor(encoding: str) -> Decompressor | None:
    """Return what undoes a Content-Encoding; None when there is nothing to undo.

    Raises:
        QueryError: the encoding is not supported.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return zlib.decompressobj(_WINDOW_GZIP)
        case "deflate":
            return zlib.decompressobj()
        case "zstd":
            return zstandard.ZstdDecompressor().decompressobj()
        case "lz4":
            return lz4.frame.LZ4FrameDecompressor()  # type: ignore[no-any-return]
        case unknown:
            raise QueryError(
                ErrorCode.NOT_IMPLEMENTED, f"Unknown compression method: {unknown}. (NOT_IMPLEMENTED)"
            )


class Body:
    """A request's body. What has been looked at can be put back."""

    def __init__(self, receive: Receive, encoding: str) -> None:
        self._receive = receive
        self._decompressor = decompressor(encoding)
        self._pushed_back = b""
        self._more = True

    def push_back(self, data: bytes) -> None:
        """Let the next reader have this first."""
        self._pushed_back = data + self._pushed_back

    async def head(self, limit: int) -> bytes:
        """Read until there are more than `limit` bytes or the body ends; returns all that was read."""
        head = bytearray()
        async for chunk in self.chunks():
            head += chunk
            if len(head) > limit:
                break
        return bytes(head)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the rest of the body.

        Raises:
            ClientGoneError: the client went away before the end.
            QueryError: the body is not what its Content-Encoding says.
        """
        if self._pushed_back:
            data, self._pushed_back = self._pushed_back, b""
            yield data
        while self._more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            self._more = message.get("more_body", False)
            data = self._plain(message.get("body", b""))
            if data:
                yield data

    def _plain(self, data: bytes) -> bytes:
        if self._decompressor is None or not data:
            return data
        try:
            return self._decompressor.decompress(data)
        except (zlib.error, zstandard.ZstdError, RuntimeError, EOFError) as error:
            raise QueryError(
                ErrorCode.CANNOT_READ_ALL_DATA, f"Cannot decompress the request's body: {error}."
            ) from error
