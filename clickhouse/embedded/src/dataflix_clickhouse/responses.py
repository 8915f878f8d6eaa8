"""Answers: their headers, and when they start."""

import json
import secrets
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any

from dataflix_clickhouse.engine import Outcome
from dataflix_clickhouse.errors import QueryError

Send = Callable[[dict[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

# ClickHouse's buffer_size: a result up to this size is sent whole, with its final counts and a true status.
BUFFER_BYTES = 1 << 20
# An answer that waits for its query's end is kept in memory up to this size, and beyond it on disk.
SPOOL_BYTES = 8 << 20
# Makes the 16 characters of ClickHouse's exception tag.
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
_OTHER_CONTENT_TYPE = "text/plain; charset=UTF-8"
# Content-Encodings the engine can write, the cheapest for what it saves first.
_ENCODINGS = ("lz4", "zstd", "gzip", "deflate", "br", "xz", "snappy")


def choose_encoding(accepted: str, is_enabled: bool) -> str:
    """Return the encoding of an answer: one the client accepts if compression is on, else `none`."""
    offered = {part.split(";")[0].strip().lower() for part in accepted.split(",")} if is_enabled else set()
    return next((encoding for encoding in _ENCODINGS if encoding in offered), "none")


@dataclass(frozen=True)
class Answer:
    """A result on its way out.

    `progress` gives the engine's counts, as far as they are known. `replacement` gives what to send
    uncompressed in the place of a result that turned out to have no rows, or None when it stands as it is.
    `release` gives back what the engine needed for it; it is called before the last byte goes out, since a
    client that has this byte may use the same session at once.
    """

    chunks: AsyncIterator[bytes]
    progress: Callable[[], Awaitable[Outcome]]
    replacement: Callable[[], Awaitable[bytes | None]]
    release: Callable[[], Awaitable[None]]
    format: str
    query_id: str
    encoding: str
    waits_for_end: bool


class Responder:
    """Sends one request's answer or error, with the headers every answer has."""

    def __init__(self, send: Send, common: list[Header], spool_dir: Path) -> None:
        self._send = send
        self._common = common
        self._spool_dir = spool_dir
        self.has_started = False

    async def answer(self, answer: Answer) -> bool:
        """Send a result: as it comes when it is large, else when it is complete.

        Returns whether it was sent whole. When the engine fails after the answer has begun, nothing can take
        the status back: the error's text is added (when the answer is not compressed), and the answer left
        unfinished, which the client sees by its missing end.

        Raises:
            QueryError: the engine failed before the answer had begun.
        """
        exception_tag = secrets.token_hex(_EXCEPTION_TAG_BYTES)
        with tempfile.SpooledTemporaryFile(SPOOL_BYTES, dir=str(self._spool_dir)) as held:
            try:
                async for chunk in answer.chunks:
                    if self.has_started:
                        await self._body(chunk)
                        continue
                    held.write(chunk)
                    if held.tell() > BUFFER_BYTES and not answer.waits_for_end:
                        await self._start(
                            HTTPStatus.OK, _headers(answer, await answer.progress(), exception_tag)
                        )
                        await self._all_of(held)
            except QueryError as error:
                if not self.has_started:
                    raise
                if answer.encoding == "none":
                    await self._body(_exception_block(error, exception_tag))
                return False
            if not self.has_started:
                await self._whole(answer, held, exception_tag)
        await answer.release()
        await self._send({"type": "http.response.body", "body": b""})
        return True

    async def _whole(self, answer: Answer, held: IO[bytes], exception_tag: str) -> None:
        replacement = await answer.replacement()
        if replacement is not None:
            answer = replace(answer, encoding="none")
        size = held.tell() if replacement is None else len(replacement)
        headers = _headers(answer, await answer.progress(), exception_tag)
        await answer.release()
        await self._start(HTTPStatus.OK, [*headers, (b"content-length", str(size).encode())])
        if replacement is None:
            await self._all_of(held)
        else:
            await self._body(replacement)

    async def _all_of(self, held: IO[bytes]) -> None:
        held.seek(0)
        while chunk := held.read(BUFFER_BYTES):
            await self._body(chunk)

    async def error(self, error: QueryError, query_id: str) -> None:
        """Send an error, or nothing when an answer has begun: that is left unfinished."""
        if self.has_started:
            return
        headers = [
            (b"content-type", _OTHER_CONTENT_TYPE.encode()),
            (b"x-clickhouse-exception-code", str(error.code).encode()),
            (b"x-clickhouse-query-id", _header_value(query_id)),
        ]
        if error.status is HTTPStatus.UNAUTHORIZED:
            headers.append((b"www-authenticate", b'Basic realm="ClickHouse server HTTP API"'))
        await self.text(error.status, error.text, headers)

    async def text(self, status: HTTPStatus, text: str, headers: list[Header] | None = None) -> None:
        """Send a short text."""
        body = text.encode(errors="surrogateescape")
        await self._start(status, [*(headers or []), (b"content-length", str(len(body)).encode())])
        await self._send({"type": "http.response.body", "body": body})

    async def _start(self, status: HTTPStatus, headers: list[Header]) -> None:
        self.has_started = True
        await self._send(
            {"type": "http.response.start", "status": status.value, "headers": [*self._common, *headers]}
        )

    async def _body(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})


def _headers(answer: Answer, counts: Outcome, exception_tag: str) -> list[Header]:
    headers = [
        (b"content-type", _CONTENT_TYPES.get(answer.format, _OTHER_CONTENT_TYPE).encode()),
        (b"x-clickhouse-format", answer.format.encode()),
        (b"x-clickhouse-query-id", _header_value(answer.query_id)),
        (b"x-clickhouse-summary", _summary(counts)),
        (b"x-clickhouse-exception-tag", exception_tag.encode()),
    ]
    if answer.encoding != "none":
        headers.append((b"content-encoding", answer.encoding.encode()))
    return headers


def _header_value(text: str) -> bytes:
    """Return the text fit for a header: a client's query id may hold anything."""
    return "".join(character if character.isprintable() else "?" for character in text).encode(
        "latin-1", "replace"
    )


def _summary(counts: Outcome) -> bytes:
    """Return the counts as ClickHouse writes them: a JSON object of numbers in strings."""
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
    """Return the error as ClickHouse adds it to an answer that has begun."""
    message = error.text.encode(errors="surrogateescape")
    return b"\r\n__exception__\r\n%b\r\n%b%d %b\r\n__exception__\r\n" % (
        tag.encode(),
        message,
        len(message),
        tag.encode(),
    )
