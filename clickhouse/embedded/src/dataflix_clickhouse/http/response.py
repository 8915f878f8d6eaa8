"""Sends results and errors, and decides when a response starts."""

import json
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any

from dataflix_clickhouse.engine.chdb_engine import QueryResult
from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import QueryError, query_error

Send = Callable[[dict[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

# ClickHouse's buffer_size: a result up to this size is sent at the end, with final counts and a true status.
BUFFER_BYTES = 1 << 20
# A response that waits for the end of its query is kept in memory up to this size, then on disk.
SPOOL_BYTES = 8 << 20
# Results leave this much of the disk to tables.
RESERVED_BYTES = 2 << 30
# Gives the 16 characters of ClickHouse's exception tag.
_EXCEPTION_TAG_BYTES = 8

_CONTENT_TYPES = {
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "TabSeparatedWithNames": "text/tab-separated-values; charset=UTF-8",
    "TabSeparatedWithNamesAndTypes": "text/tab-separated-values; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONStrings": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "JSONCompactEachRow": "application/x-ndjson; charset=UTF-8",
    "XML": "application/xml; charset=UTF-8",
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "Arrow": "application/octet-stream",
    "ArrowStream": "application/octet-stream",
    "Parquet": "application/octet-stream",
}
_DEFAULT_CONTENT_TYPE = "text/plain; charset=UTF-8"
# Content-Encodings that the engine can write, in our order of preference (CPU time for saved bytes).
_ENCODINGS = ("lz4", "zstd", "gzip", "deflate", "br", "xz", "snappy")


def choose_encoding(accepted: str, is_enabled: bool) -> str:
    """Return the encoding of a response: one that the client accepts if compression is on, else `none`."""
    offered = {part.split(";")[0].strip().lower() for part in accepted.split(",")} if is_enabled else set()
    return next((encoding for encoding in _ENCODINGS if encoding in offered), "none")


@dataclass(frozen=True)
class QueryResponse:
    """A result to send.

    Attributes:
        counts: returns the engine's counts so far.
        empty_result: returns what to send, uncompressed, instead of a result without rows; None for no
            change.
        release: frees the session. It runs before the last byte is sent, because the client may use the
            session again as soon as it has that byte.
    """

    chunks: AsyncIterator[bytes]
    counts: Callable[[], Awaitable[QueryResult]]
    empty_result: Callable[[], Awaitable[bytes | None]]
    release: Callable[[], Awaitable[None]]
    format: str
    query_id: str
    encoding: str
    waits_for_end: bool


class Responder:
    """Sends the response of one request, with the headers that all responses have."""

    def __init__(self, send: Send, common_headers: list[Header], spool_dir: Path) -> None:
        self._send = send
        self._common_headers = common_headers
        self._spool_dir = spool_dir
        self.has_started = False

    async def send_result(self, response: QueryResponse) -> bool:
        """Send a result: in chunks if it is large, else when it is complete.

        If the engine fails after the response has started, the status cannot change any more. Then this
        method adds the text of the error (unless the response is compressed) and does not finish the
        response, so that the client notices.

        Returns:
            Whether the response is complete.

        Raises:
            QueryError: the engine failed before the response started.
        """
        exception_tag = secrets.token_hex(_EXCEPTION_TAG_BYTES)
        with tempfile.SpooledTemporaryFile(SPOOL_BYTES, dir=str(self._spool_dir)) as buffer:
            try:
                async for chunk in response.chunks:
                    if self.has_started:
                        await self._send_body(chunk)
                        continue
                    if buffer.tell() > SPOOL_BYTES:
                        self._check_free_space()
                    buffer.write(chunk)
                    if buffer.tell() > BUFFER_BYTES and not response.waits_for_end:
                        await self._send_start(
                            HTTPStatus.OK, _headers(response, await response.counts(), exception_tag)
                        )
                        await self._send_buffer(buffer)
            except QueryError as error:
                if not self.has_started:
                    raise
                if response.encoding == "none":
                    await self._send_body(_exception_block(error, exception_tag))
                return False
            if not self.has_started:
                await self._send_complete(response, buffer, exception_tag)
        await response.release()
        await self._send({"type": "http.response.body", "body": b""})
        return True

    def _check_free_space(self) -> None:
        """Refuse to keep more of a result on a disk that is nearly full, for tables need it, too.

        Raises:
            QueryError: too little is free.
        """
        if shutil.disk_usage(self._spool_dir).free < RESERVED_BYTES:
            raise query_error(
                ErrorCode.NOT_ENOUGH_SPACE,
                "The result is too large to wait for its end: the disk is nearly full. "
                "Ask without wait_end_of_query.",
            )

    async def _send_complete(self, response: QueryResponse, buffer: IO[bytes], exception_tag: str) -> None:
        empty_result = await response.empty_result()
        if empty_result is not None:
            response = replace(response, encoding="none")
        size = buffer.tell() if empty_result is None else len(empty_result)
        headers = _headers(response, await response.counts(), exception_tag)
        await response.release()
        await self._send_start(HTTPStatus.OK, [*headers, (b"content-length", str(size).encode())])
        if empty_result is None:
            await self._send_buffer(buffer)
        else:
            await self._send_body(empty_result)

    async def _send_buffer(self, buffer: IO[bytes]) -> None:
        buffer.seek(0)
        while chunk := buffer.read(BUFFER_BYTES):
            await self._send_body(chunk)

    async def send_error(self, error: QueryError, query_id: str) -> None:
        """Send an error; if a response has started, send nothing and leave it unfinished."""
        if self.has_started:
            return
        headers = [
            (b"content-type", _DEFAULT_CONTENT_TYPE.encode()),
            (b"x-clickhouse-exception-code", str(error.code).encode()),
            (b"x-clickhouse-query-id", _header_value(query_id)),
        ]
        if error.status is HTTPStatus.UNAUTHORIZED:
            headers.append((b"www-authenticate", b'Basic realm="ClickHouse server HTTP API"'))
        await self.send_text(error.status, error.text, headers)

    async def send_text(self, status: HTTPStatus, text: str, headers: list[Header] | None = None) -> None:
        """Send a text as the whole response."""
        body = text.encode(errors="surrogateescape")
        await self._send_start(status, [*(headers or []), (b"content-length", str(len(body)).encode())])
        await self._send({"type": "http.response.body", "body": body})

    async def _send_start(self, status: HTTPStatus, headers: list[Header]) -> None:
        self.has_started = True
        await self._send(
            {
                "type": "http.response.start",
                "status": status.value,
                "headers": [*self._common_headers, *headers],
            }
        )

    async def _send_body(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})


def _headers(response: QueryResponse, counts: QueryResult, exception_tag: str) -> list[Header]:
    headers = [
        (b"content-type", _CONTENT_TYPES.get(response.format, _DEFAULT_CONTENT_TYPE).encode()),
        (b"x-clickhouse-format", response.format.encode()),
        (b"x-clickhouse-query-id", _header_value(response.query_id)),
        (b"x-clickhouse-summary", _summary(counts)),
        (b"x-clickhouse-exception-tag", exception_tag.encode()),
    ]
    if response.encoding != "none":
        headers.append((b"content-encoding", response.encoding.encode()))
    return headers


def _header_value(text: str) -> bytes:
    """Return the text as a valid header value: a query id from a client may contain any character."""
    return "".join(character if character.isprintable() else "?" for character in text).encode(
        "latin-1", "replace"
    )


def _summary(counts: QueryResult) -> bytes:
    """Return the counts in ClickHouse's form: a JSON object with numbers as strings."""
    fields = {
        "read_rows": counts.read_rows,
        "read_bytes": counts.read_bytes,
        "written_rows": counts.written_rows,
        "written_bytes": counts.written_bytes,
        "total_rows_to_read": counts.total_rows_to_read,
        "result_rows": counts.result_rows,
        "result_bytes": counts.result_bytes,
        "elapsed_ns": counts.elapsed_ns,
    }
    return json.dumps({name: str(value) for name, value in fields.items()}).encode()


def _exception_block(error: QueryError, tag: str) -> bytes:
    """Return the error in the form that ClickHouse adds to a response that has started."""
    message = error.text.encode(errors="surrogateescape")
    return b"\r\n__exception__\r\n%b\r\n%b%d %b\r\n__exception__\r\n" % (
        tag.encode(),
        message,
        len(message),
        tag.encode(),
    )
