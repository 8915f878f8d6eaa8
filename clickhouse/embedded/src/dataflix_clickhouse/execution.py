"""Running one statement: its data in through a pipe, its result out through one."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from dataflix_clickhouse import gate, native
from dataflix_clickhouse.contexts import Context
from dataflix_clickhouse.engine import Engine, Outcome
from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import refused
from dataflix_clickhouse.pipes import Pipe
from dataflix_clickhouse.statements import Shape, Statement
from dataflix_clickhouse.users import Account

T = TypeVar("T")

# How long a killed statement gets to notice before it is killed again.
KILL_AGAIN_S = 0.2
# How long to wait for a statement to appear in the engine that is about to start.
NOT_YET_S = 0.02


class Running:
    """The statements at work, by the id their client gave them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tags: dict[str, tuple[str, str]] = {}

    @contextmanager
    def tag(self, account: Account, query_id: str) -> Iterator[str]:
        """Keep a tag for the statement as long as it runs.

        Raises:
            QueryError: a statement with this id is running.
        """
        if query_id in self._tags:
            raise refused(
                ErrorCode.QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING,
                f"Query with id = {query_id} is already running.",
            )
        tag = f"dataflix-{secrets.token_hex(8)}"
        self._tags[query_id] = (account.name, tag)
        try:
            yield tag
        finally:
            del self._tags[query_id]

    def kill(self, account: Account, kill: gate.Kill) -> bytes:
        """End the statement with this id when it is the account's, or anybody's for the administrator.

        Returns KILL QUERY's answer, which is empty when there is nothing to end.
        """
        owner, tag = self._tags.get(kill.query_id, ("", ""))
        if not tag or (owner != account.name and not account.is_admin):
            return b""
        return self._engine.kill(tag, kill.mode)


@dataclass
class Execution:
    """One statement of one account in one context. `outcome` is there once the engine is done."""

    engine: Engine
    running: Running
    pool: Executor
    account: Account
    context: Context
    tag: str
    outcome: Outcome | None = None

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run a blocking call outside of the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, work)

    async def plain(self, statement: Statement, default_format: str, params: dict[str, str]) -> bytes:
        """Run a statement that neither takes nor gives data in any amount; returns its answer."""
        sql = statement.plain(self.tag)

        def work() -> Outcome | bytes:
            kill = self._checked(sql, None, params)
            return (
                self.context.run(sql, default_format, params)
                if kill is None
                else self.running.kill(self.account, kill)
            )

        query = asyncio.ensure_future(self.in_thread(work))
        outcome = await self._to_the_end(query)
        if isinstance(outcome, bytes):
            return outcome
        self.outcome = outcome
        return outcome.data

    async def insert(
        self, statement: Statement, compression: str, body: AsyncIterator[bytes], params: dict[str, str]
    ) -> None:
        """Stream a body into an insert. What the engine has taken when the body breaks off is dropped."""
        with Pipe() as pipe:
            sql = statement.reading_from(pipe.read_path, compression, self.tag)
            query = asyncio.ensure_future(
                self.in_thread(lambda: self._checked_run(sql, pipe.read_path, "TabSeparated", params))
            )
            feed = asyncio.ensure_future(pipe.feed(body))
            try:
                await asyncio.wait((query, feed), return_when=asyncio.FIRST_COMPLETED)
                if not query.done():
                    feed.result()
            except BaseException:
                await _stop(feed)
                await self._kill(query, pipe.close_write)
                raise
            await _stop(feed)
            pipe.close_write()
            self.outcome = await self._to_the_end(query)

    async def output(
        self, statement: Statement, default_format: str, compression: str, params: dict[str, str]
    ) -> AsyncGenerator[bytes]:
        """Yield the result as the engine produces it, compressed by the engine."""
        with Pipe() as pipe:
            sql = statement.writing_to(pipe.write_path, default_format, compression, self.tag)
            query = asyncio.ensure_future(
                self.in_thread(lambda: self._checked_run(sql, pipe.write_path, default_format, params))
            )
            query.add_done_callback(lambda _: pipe.close_write())
            try:
                while chunk := await pipe.read():
                    yield chunk
                self.outcome = await self._to_the_end(query)
            finally:
                await self._kill(query, pipe.close_read)

    async def progress(self) -> Outcome:
        """Return the engine's counts: final ones when it is done, else those so far."""
        if self.outcome is not None:
            return self.outcome
        return await self.in_thread(lambda: self.engine.progress(self.tag))

    async def replacement(
        self, statement: Statement, default_format: str, params: dict[str, str]
    ) -> bytes | None:
        """Return the Native block that tells the columns, when the result has no rows to tell them."""
        has_rows = self.outcome is None or self.outcome.result_rows > 0
        if (
            has_rows
            or statement.shape is not Shape.OUTPUT
            or (statement.format or default_format) != "Native"
        ):
            return None
        return await self.in_thread(lambda: self._columns_only(statement, params))

    def _columns_only(self, statement: Statement, params: dict[str, str]) -> bytes:
        if statement.is_select:
            described = self.context.run(f"DESCRIBE TABLE ({statement.body}\n)", "JSONCompact", params)
            return native.header_of_description(described.data)
        shown = self.context.run(f"{statement.body}\nFORMAT JSONCompact", "JSONCompact", params)
        return native.header_of_meta(shown.data)

    def _checked(self, sql: str, own_file: str | None, params: dict[str, str]) -> gate.Kill | None:
        return gate.check(self.context.canonical(sql), self.account, own_file, params)

    def _checked_run(self, sql: str, own_file: str, default_format: str, params: dict[str, str]) -> Outcome:
        self._checked(sql, own_file, params)
        return self.context.run(sql, default_format, params)

    async def _to_the_end(self, query: "asyncio.Future[T]") -> T:
        """Wait for a statement; when the wait is cancelled, the statement is, too."""
        try:
            return await asyncio.shield(query)
        except asyncio.CancelledError:
            await self._kill(query)
            raise

    async def _kill(self, query: "asyncio.Future[T]", release: Callable[[], None] | None = None) -> None:
        """Kill the statement if it still runs, and wait until it is over.

        `release` wakes it up when it waits for its pipe. It comes second: an insert whose pipe ends before it
        is killed would take what came in so far for the whole.
        """
        while not query.done():
            is_found = await self.in_thread(lambda: self.engine.kill(self.tag))
            if is_found and release is not None:
                release()
            await asyncio.wait((query,), timeout=KILL_AGAIN_S if is_found else NOT_YET_S)
        if not query.cancelled():
            query.exception()


async def _stop(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.wait((task,))
