"""One request to the query interface, from its statement to its answer."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

from dataflix_clickhouse import gate, statements
from dataflix_clickhouse.bodies import Body, read_up_to, with_head
from dataflix_clickhouse.contexts import Context
from dataflix_clickhouse.engine import Engine
from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import ClientGoneError, refused
from dataflix_clickhouse.execution import Execution
from dataflix_clickhouse.requests import Request
from dataflix_clickhouse.responses import Answer, Responder, choose_encoding
from dataflix_clickhouse.running import Running
from dataflix_clickhouse.sessions import Sessions
from dataflix_clickhouse.statements import Shape, Statement
from dataflix_clickhouse.threads import Threads
from dataflix_clickhouse.users import Account

T = TypeVar("T")


@dataclass(frozen=True)
class _Work:
    """A statement with the data that come with it, compressed as `compression` says.

    `may_compute` says whether an INSERT ... VALUES may have expressions for values.
    """

    statement: Statement
    data: AsyncIterator[bytes]
    compression: str = "none"
    may_compute: bool = True


class Handler:
    """Runs requests on one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._threads = Threads()
        self._sessions = Sessions(lambda account: Context(engine, account))
        self._running = Running(engine, self._threads)

    def close(self) -> None:
        """Close every session, once all statements are done."""
        self._threads.close()
        self._sessions.close()

    async def handle(self, request: Request, account: Account, body: Body, responder: Responder) -> str:
        """Run the request and send its answer; returns how that went, in one word.

        Raises:
            QueryError: the request is refused or fails, and no answer has begun.
            ClientGoneError: the client has closed its connection.
        """
        work = await _work(request, body)
        _check_method(request, work.statement)
        settings = request.engine_settings
        if not (work.may_compute or account.is_admin):
            settings |= dict.fromkeys(gate.COMPUTING_SETTINGS, "0")
        async with AsyncExitStack() as held:
            context = await self._threads.control(lambda: self._sessions.enter(account, request))
            held.push_async_callback(self._leave, account, request, context)
            tag = held.enter_context(self._running.tag(account, request.query_id))
            await self._threads.control(lambda: context.prepare(request.database, settings))
            execution = Execution(self._engine, self._running, self._threads, account, context, tag)
            return await _answer(request, work, execution, body, responder, release=held.aclose)

    async def _leave(self, account: Account, request: Request, context: Context) -> None:
        await asyncio.shield(self._threads.control(lambda: self._sessions.leave(account, request, context)))


async def _work(request: Request, body: Body) -> _Work:
    """Find the statement, reading no more of the body than that needs."""
    text = request.arguments.get("query", "")
    if text and not text.endswith("\n"):
        text += "\n"
    insert = statements.parse_insert(text)
    if insert is not None and insert.format != "Values" and not insert.inline_data:
        return _Work(insert, *body.for_engine())
    limit = request.max_query_bytes
    rest = body.plain()
    head = await read_up_to(rest, limit)
    text += head.decode(errors="surrogateescape")
    insert = statements.parse_insert(text)
    if insert is not None:
        inline = insert.inline_data
        may_compute = insert.format != "Values" or (len(head) <= limit and gate.may_compute(inline))
        return _Work(
            insert, with_head(inline.encode(errors="surrogateescape"), rest), may_compute=may_compute
        )
    if len(text) > limit:
        raise refused(ErrorCode.SYNTAX_ERROR, f"Max query size exceeded: {limit} bytes (see max_query_size).")
    return _Work(statements.parse(text), rest)


def _check_method(request: Request, statement: Statement) -> None:
    if (
        request.is_reading
        and statement.shape is not Shape.OUTPUT
        and statement.first_word not in ("USE", "SET")
    ):
        raise refused(
            ErrorCode.READONLY,
            "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. "
            "You should use method POST for modifying queries.",
        )


async def _answer(
    request: Request,
    work: _Work,
    execution: Execution,
    body: Body,
    responder: Responder,
    *,
    release: Callable[[], Awaitable[None]],
) -> str:
    statement, params, default_format = work.statement, request.params, request.default_format
    encoding = "none"
    match statement.shape:
        case Shape.INSERT_DATA:
            await execution.insert(statement, work.compression, work.data, params)
            chunks = _one(b"")
        case Shape.OTHER:
            chunks = _one(await execution.plain(statement, default_format, params))
        case Shape.OUTPUT:
            encoding = choose_encoding(request.headers.get("accept-encoding", ""), request.allows_compression)
            chunks = execution.output(statement, default_format, encoding, params)
    answer = Answer(
        chunks=chunks,
        progress=execution.progress,
        replacement=lambda: execution.replacement(statement, default_format, params),
        release=release,
        format=statement.format or default_format,
        query_id=request.query_id,
        encoding=encoding,
        waits_for_end=request.waits_for_end,
    )
    async with aclosing(chunks):
        is_whole = await _unless_gone(responder.answer(answer), body)
    return "ok" if is_whole else "broken"


async def _one(data: bytes) -> AsyncGenerator[bytes]:
    if data:
        yield data


async def _unless_gone(answering: Coroutine[Any, Any, T], body: Body) -> T:
    """Finish answering, unless the client closes its connection first.

    Raises:
        ClientGoneError: it has; the answering was cancelled, and the statement with it.
    """
    answered = asyncio.ensure_future(answering)
    gone = asyncio.ensure_future(body.client_gone())
    try:
        await asyncio.wait((answered, gone), return_when=asyncio.FIRST_COMPLETED)
        if answered.done():
            return answered.result()
        raise ClientGoneError
    finally:
        for task in (answered, gone):
            task.cancel()
        await asyncio.wait((answered, gone))
