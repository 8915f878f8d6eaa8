"""Running one statement: its data in through a pipe, its result out through one."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeVar

from dataflix_clickhouse import gate, native
from dataflix_clickhouse.contexts import Context
from dataflix_clickhouse.engine import Engine, Outcome
from dataflix_clickhouse.pipes import Pipe
from dataflix_clickhouse.running import Running
from dataflix_clickhouse.statements import Shape, Statement
from dataflix_clickhouse.threads import Threads
from dataflix_clickhouse.users import Account

T = TypeVar("T")

# How long a killed statement gets to notice before it is killed again.
KILL_AGAIN_S = 0.2
# How long to wait for a statement to appear in the engine that is about to start.
NOT_YET_S = 0.02


@dataclass
class Execution:
    """One statement of one account in one context. `outcome` is there once the engine is done."""

    engine: Engine
    running: Running
    threads: Threads
    account: Account
    context: Context
    tag: str
    outcome: Outcome | None = None

    async def plain(self, statement: Statement, default_format: str, params: dict[str, str]) -> bytes:
        """Run a statement that neither takes nor gives data in any amount; returns its answer."""
        sql = statement.plain(self.tag)
        kill = await self.threads.control(lambda: self._checked(sql, None, params))
        if kill is not None:
            return await self.running.kill(self.account, kill)
        query = asyncio.ensure_future(
            self.threads.statement(lambda: self.context.run(sql, default_format, params))
        )
        self.outcome = await self._to_the_end(query)
        return self.outcome.data

    async def insert(
        self, statement: Statement, compression: str, body: AsyncIterator[bytes], params: dict[str, str]
    ) -> None:
        """Stream a body into an insert. What the engine has taken when the body breaks off is dropped."""
        with Pipe() as pipe:
            sql = statement.reading_from(pipe.read_path, compression, self.tag)
            query = asyncio.ensure_future(
                self.threads.statement(lambda: self._checked_run(sql, pipe.read_path, "TabSeparated", params))
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
                self.threads.statement(
                    lambda: self._checked_run(sql, pipe.write_path, default_format, params)
                )
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
        return await self.threads.control(lambda: self.engine.progress(self.tag))

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
        return await self.threads.statement(lambda: self._columns_only(statement, params))

    def _columns_only(self, statement: Statement, params: dict[str, str]) -> bytes:
        if statement.is_select:
            asked, header = f"DESCRIBE TABLE ({statement.body}\n)", native.header_of_description
        else:
            asked, header = f"{statement.body}\nFORMAT JSONCompact", native.header_of_meta
        self._checked(asked, None, params)
        return header(self.context.run(asked, "JSONCompact", params).data)

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
        """Kill the statement if it still runs, and wait until it is over, even when cancelled again.

        `release` wakes it up when it waits for its pipe. It comes second: an insert whose pipe ends before it
        is killed would take what came in so far for the whole.
        """
        killing = asyncio.ensure_future(self._kill_until_done(query, release))
        while not killing.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(killing)
        killing.result()

    async def _kill_until_done(self, query: "asyncio.Future[T]", release: Callable[[], None] | None) -> None:
        while not query.done():
            is_found = await self.threads.control(lambda: self.engine.kill(self.tag))
            if is_found and release is not None:
                release()
            await asyncio.wait((query,), timeout=KILL_AGAIN_S if is_found else NOT_YET_S)
        if not query.cancelled():
            query.exception()


async def _stop(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.wait((task,))
