"""Handles one query request: finds the statement, runs it, sends the result."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

from dataflix_clickhouse.access import statement_policy
from dataflix_clickhouse.access.accounts import MAX_STATEMENTS, Account
from dataflix_clickhouse.engine.chdb_engine import Engine
from dataflix_clickhouse.engine.thread_pools import ThreadPools
from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import ClientGoneError, query_error
from dataflix_clickhouse.http.body import Body, prepend, read_up_to
from dataflix_clickhouse.http.request import Request
from dataflix_clickhouse.http.response import QueryResponse, Responder, choose_encoding
from dataflix_clickhouse.queries.execution import StatementExecution
from dataflix_clickhouse.queries.registry import QueryRegistry
from dataflix_clickhouse.queries.session_context import SessionContext
from dataflix_clickhouse.queries.sessions import Sessions
from dataflix_clickhouse.sql import statements
from dataflix_clickhouse.sql.statements import Statement, StatementKind

T = TypeVar("T")

# Statements without a large result that only read: like SELECT, they end when their client leaves.
_READS = ("CHECK", "EXPLAIN")


@dataclass(frozen=True)
class _QueryInput:
    """A statement and the data that come with it.

    Attributes:
        data: the insert data; nothing for other statements.
        compression: how the data are compressed, as FROM INFILE names it.
        allows_expressions: whether VALUES data may contain expressions.
    """

    statement: Statement
    data: AsyncIterator[bytes]
    compression: str = "none"
    allows_expressions: bool = True


class QueryHandler:
    """Runs requests on one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._threads = ThreadPools(MAX_STATEMENTS)
        self._sessions = Sessions(lambda account: SessionContext(engine, account))
        self._registry = QueryRegistry(engine, self._threads)

    def close(self) -> None:
        """Wait until all statements are done, then close all sessions."""
        self._threads.close()
        self._sessions.close()

    async def handle(self, request: Request, account: Account, body: Body, responder: Responder) -> str:
        """Run a request and send its result.

        Returns:
            "ok", or "broken" when the engine failed after the response had started.

        Raises:
            QueryError: the request is refused or fails, and no response has started.
            ClientGoneError: the client closed its connection.
        """
        query_input = await self._read_input(request, body)
        _check_method(request, query_input.statement)
        settings = request.engine_settings
        if not (query_input.allows_expressions or account.is_admin):
            settings |= dict.fromkeys(statement_policy.EXPRESSION_SETTINGS, "0")
        async with AsyncExitStack() as stack:
            # The slot first: it bounds the connections that requests open, too.
            tag = stack.enter_context(self._registry.register(account, request.query_id))
            context = await self._threads.run_control(lambda: self._sessions.enter(account, request.session))
            stack.push_async_callback(self._leave, account, request, context)
            context.is_changed |= query_input.statement.changes_session
            await self._threads.run_control(lambda: context.prepare(request.database, settings))
            execution = StatementExecution(self._engine, self._registry, self._threads, account, context, tag)
            return await _send_result(request, query_input, execution, body, responder, release=stack.aclose)

    async def check_health(self) -> None:
        """Run a statement.

        Raises:
            QueryError: the engine answers with an error.
        """
        await self._threads.run_health_check(self._engine.check_health)

    async def _leave(self, account: Account, request: Request, context: SessionContext) -> None:
        await asyncio.shield(
            self._threads.run_control(lambda: self._sessions.leave(account, request.session, context))
        )

    async def _read_input(self, request: Request, body: Body) -> _QueryInput:
        """Find the statement; read no more of the body than this needs."""
        text = request.arguments.get("query", "")
        if text and not text.endswith("\n"):
            text += "\n"
        insert = await self._parse(statements.parse_insert, text)
        if insert is not None and insert.format != "Values" and not insert.inline_data:
            return _QueryInput(insert, *body.for_engine())
        limit = request.max_query_bytes
        rest = body.decompressed()
        head = await read_up_to(rest, limit)
        text += head.decode(errors="surrogateescape")
        insert = await self._parse(statements.parse_insert, text)
        if insert is not None:
            inline = insert.inline_data
            allows_expressions = insert.format != "Values" or (
                len(head) <= limit and statement_policy.is_safe_values_data(inline)
            )
            return _QueryInput(
                insert,
                prepend(inline.encode(errors="surrogateescape"), rest),
                allows_expressions=allows_expressions,
            )
        if len(text) > limit:
            raise query_error(
                ErrorCode.SYNTAX_ERROR, f"Max query size exceeded: {limit} bytes (see max_query_size)."
            )
        return _QueryInput(await self._parse(statements.parse, text), rest)

    async def _parse(self, parse: Callable[[str], T], text: str) -> T:
        """Parse a text; a long one in a thread, so that the event loop goes on."""
        if len(text) < statements.LONG_STATEMENT:
            return parse(text)
        return await self._threads.run_parser(lambda: parse(text))


def _check_method(request: Request, statement: Statement) -> None:
    if (
        request.is_readonly_method
        and statement.kind is not StatementKind.OUTPUT
        and statement.first_word not in ("USE", "SET")
    ):
        raise query_error(
            ErrorCode.READONLY,
            "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. "
            "You should use method POST for modifying queries.",
        )


async def _send_result(
    request: Request,
    query_input: _QueryInput,
    execution: StatementExecution,
    body: Body,
    responder: Responder,
    *,
    release: Callable[[], Awaitable[None]],
) -> str:
    statement, params, default_format = query_input.statement, request.params, request.default_format
    encoding = "none"
    match statement.kind:
        case StatementKind.INSERT_DATA:
            await execution.insert(statement, query_input.compression, query_input.data, params)
            chunks = _single(b"")
        case StatementKind.OTHER if statement.first_word in _READS:
            chunks = _later(lambda: execution.run(statement, default_format, params))
        case StatementKind.OTHER:
            chunks = _single(await execution.run(statement, default_format, params))
        case StatementKind.OUTPUT:
            encoding = choose_encoding(request.headers.get("accept-encoding", ""), request.allows_compression)
            chunks = execution.stream(statement, default_format, encoding, params)
    response = QueryResponse(
        chunks=chunks,
        counts=execution.counts,
        empty_result=lambda: execution.empty_native_block(statement, default_format, params),
        release=release,
        format=statement.format or default_format,
        query_id=request.query_id,
        encoding=encoding,
        waits_for_end=request.waits_for_end,
    )
    async with aclosing(chunks):
        is_complete = await _until_disconnect(responder.send_result(response), body)
    return "ok" if is_complete else "broken"


async def _later(run: Callable[[], Awaitable[bytes]]) -> AsyncGenerator[bytes]:
    yield await run()


async def _single(data: bytes) -> AsyncGenerator[bytes]:
    if data:
        yield data


async def _until_disconnect(sending: Coroutine[Any, Any, T], body: Body) -> T:
    """Run a coroutine to its end, but cancel it when the client closes its connection.

    Raises:
        ClientGoneError: the client closed its connection; the coroutine and its statement are cancelled.
    """
    sent = asyncio.ensure_future(sending)
    gone = asyncio.ensure_future(body.wait_for_disconnect())
    try:
        await asyncio.wait((sent, gone), return_when=asyncio.FIRST_COMPLETED)
        if sent.done():
            return sent.result()
        raise ClientGoneError
    finally:
        for task in (sent, gone):
            task.cancel()
        await asyncio.wait((sent, gone))
