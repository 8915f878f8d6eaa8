"""The ASGI application: ClickHouse's HTTP interface."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from dataflix_clickhouse import requests, statements
from dataflix_clickhouse.bodies import Body, ClientGoneError, Receive
from dataflix_clickhouse.engine import Engine, Handle, Outcome, quote
from dataflix_clickhouse.errors import ErrorCode, QueryError
from dataflix_clickhouse.execution import Execution
from dataflix_clickhouse.sessions import Sessions
from dataflix_clickhouse.statements import Shape, Statement
from dataflix_clickhouse.users import Account, Authenticator

log = logging.getLogger(__name__)

Send = Callable[[dict[str, Any]], Awaitable[None]]

# ClickHouse's max_query_size: a statement's own text, an insert's data not counted.
MAX_QUERY_BYTES = 262_144
# ClickHouse's buffer_size: a result up to this size is sent whole, with its final counts and a real status.
RESPONSE_BUFFER_BYTES = 1 << 20
# Statements at work at a time; further ones wait for a thread.
MAX_QUERIES = 32

_CONTENT_TYPES = {
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "Native": "application/octet-stream",
}


class Application:
    """Answers requests with one engine."""

    def __init__(
        self, engine: Engine, authenticator: Authenticator, timezone: str, display_name: str
    ) -> None:
        self._engine = engine
        self._authenticator = authenticator
        self._sessions = Sessions(lambda _: engine.handle())
        self._pool = ThreadPoolExecutor(MAX_QUERIES, thread_name_prefix="query")
        self._common = [(b"x-clickhouse-server-display-name", display_name.encode())]
        self._timezone = timezone

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        path, method = scope["path"], scope["method"]
        if path in ("/ping", "/replicas_status") or (
            path == "/" and not scope["query_string"] and method == "GET"
        ):
            await self._send(send, HTTPStatus.OK, b"Ok.\n", [])
            return
        if path not in ("/", "/query"):
            await self._send(send, HTTPStatus.NOT_FOUND, f"There is no handle {path}\n".encode(), [])
            return
        try:
            await self._query(scope, receive, send)
        except ClientGoneError:
            log.info("client went away")

    async def _query(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        query_id = ""
        try:
            request = requests.parse(scope)
            query_id = request.query_id
            account = self._authenticator.check(*request.credentials)
            await self._run(request, account, receive, send)
        except QueryError as error:
            log.info("query_id=%s error=%d", query_id, error.code)
            headers = [
                (b"x-clickhouse-exception-code", str(error.code).encode()),
                (b"x-clickhouse-query-id", query_id.encode("latin-1", "replace")),
            ]
            await self._send(send, error.status, error.text.encode(errors="surrogateescape"), headers)

    async def _run(self, request: requests.Request, account: Account, receive: Receive, send: Send) -> None:
        body = Body(receive, request.headers.get("content-encoding", ""))
        statement = await self._statement(request, body)
        with self._sessions.handle(account.name, request) as handle:
            await asyncio.get_running_loop().run_in_executor(self._pool, _prepare, handle, request, account)
            execution = Execution(self._engine, handle, self._pool, request.query_id)
            if statement.shape is Shape.INSERT_DATA:
                await execution.insert(statement, body.chunks(), request.params)
                results = _nothing()
            else:
                results = execution.output(statement, request.default_format, request.params)
            await self._answer(request, statement, execution, results, send)

    async def _statement(self, request: requests.Request, body: Body) -> Statement:
        text = request.arguments.get("query", "")
        if text and not text.endswith("\n"):
            text += "\n"
        head = await body.head(MAX_QUERY_BYTES)
        text += head.decode(errors="surrogateescape")
        insert = statements.parse_insert(text)
        if insert is not None:
            body.push_back(
                text[insert.data_start :]
                .lstrip(" \t")
                .removeprefix("\r")
                .removeprefix("\n")
                .encode(errors="surrogateescape")
            )
            return insert
        if len(head) > MAX_QUERY_BYTES:
            raise QueryError(ErrorCode.SYNTAX_ERROR, "Max query size exceeded. (SYNTAX_ERROR)")
        return statements.parse(text)

    async def _answer(
        self,
        request: requests.Request,
        statement: Statement,
        execution: Execution,
        results: AsyncIterator[bytes],
        send: Send,
    ) -> None:
        name = statement.format or request.default_format
        buffered = bytearray()
        started = False
        async for chunk in results:
            if started:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                continue
            buffered += chunk
            if len(buffered) > RESPONSE_BUFFER_BYTES and not request.waits_for_end:
                await self._start(send, HTTPStatus.OK, self._headers(request, name, execution.outcome))
                await send({"type": "http.response.body", "body": bytes(buffered), "more_body": True})
                started = True
        if started:
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._send(
                send, HTTPStatus.OK, bytes(buffered), self._headers(request, name, execution.outcome)
            )

    def _headers(
        self, request: requests.Request, name: str, outcome: Outcome | None
    ) -> list[tuple[bytes, bytes]]:
        return [
            (b"content-type", _CONTENT_TYPES.get(name, "text/plain; charset=UTF-8").encode()),
            (b"x-clickhouse-format", name.encode()),
            (b"x-clickhouse-query-id", request.query_id.encode("latin-1", "replace")),
            (b"x-clickhouse-timezone", self._timezone.encode()),
            (b"x-clickhouse-summary", _summary(outcome)),
        ]

    async def _start(self, send: Send, status: HTTPStatus, headers: list[tuple[bytes, bytes]]) -> None:
        await send(
            {"type": "http.response.start", "status": status.value, "headers": [*self._common, *headers]}
        )

    async def _send(
        self, send: Send, status: HTTPStatus, body: bytes, headers: list[tuple[bytes, bytes]]
    ) -> None:
        await self._start(send, status, [*headers, (b"content-length", str(len(body)).encode())])
        await send({"type": "http.response.body", "body": body})


def _prepare(handle: Handle, request: requests.Request, account: Account) -> None:
    if request.database:
        name = request.database.replace("\\", "\\\\").replace("`", "\\`")
        handle.run(f"USE `{name}`")
    settings = {**request.settings, "log_comment": request.query_id}
    handle.run("SET " + ", ".join(f"{name} = {quote(value)}" for name, value in settings.items()))


async def _nothing() -> AsyncIterator[bytes]:
    for chunk in ():
        yield chunk


def _summary(outcome: Outcome | None) -> bytes:
    counts = {
        "read_rows": outcome.read_rows if outcome else 0,
        "read_bytes": outcome.read_bytes if outcome else 0,
        "written_rows": outcome.written_rows if outcome else 0,
        "written_bytes": outcome.written_bytes if outcome else 0,
        "total_rows_to_read": 0,
        "result_rows": outcome.result_rows if outcome else 0,
        "result_bytes": outcome.result_bytes if outcome else 0,
        "elapsed_ns": outcome.elapsed_ns if outcome else 0,
    }
    return json.dumps({name: str(value) for name, value in counts.items()}).encode()
