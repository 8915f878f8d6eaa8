"""Runs one statement; pipes carry its data in and its result out."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeVar

from dataflix_clickhouse.access import statement_policy
from dataflix_clickhouse.access.accounts import Account
from dataflix_clickhouse.engine import native_format
from dataflix_clickhouse.engine.chdb_engine import Engine, QueryResult
from dataflix_clickhouse.engine.pipe import Pipe
from dataflix_clickhouse.engine.thread_pools import ThreadPools
from dataflix_clickhouse.queries.registry import QueryRegistry
from dataflix_clickhouse.queries.session_context import SessionContext
from dataflix_clickhouse.sql.statements import Statement, StatementKind

T = TypeVar("T")

log = logging.getLogger(__name__)

# How long to wait for the end of a statement after the first KILL QUERY, and at most after a later one. Each
# wait is twice as long as the one before. KILL QUERY does not find a new statement that is not yet in
# system.processes, nor one that writes the last of its result and is not there any more.
FIRST_KILL_WAIT_S = 0.02
MAX_KILL_WAIT_S = 5.0
# A statement that goes on for so long after it was cancelled is worth a line in the log.
SLOW_KILL_S = 10.0


@dataclass
class StatementExecution:
    """One statement of one account on one connection.

    Attributes:
        tag: identifies the statement in system.processes.
        result: its counts and result, once the engine is done.
    """

    engine: Engine
    registry: QueryRegistry
    threads: ThreadPools
    account: Account
    context: SessionContext
    tag: str
    result: QueryResult | None = None

    async def run(self, statement: Statement, default_format: str, params: dict[str, str]) -> bytes:
        """Run a statement without input data or a large result, and return its result."""
        sql = statement.with_tag(self.tag)
        kill_request = await self.threads.run_control(lambda: self._check(sql, None, params))
        if kill_request is not None:
            return await self.registry.kill(self.account, kill_request)
        query = asyncio.ensure_future(
            self.threads.run_statement(lambda: self.context.run(sql, default_format, params))
        )
        result = self.result = await self._wait_for(query)
        return result.data

    async def insert(
        self, statement: Statement, compression: str, body: AsyncIterator[bytes], params: dict[str, str]
    ) -> None:
        """Stream a body into an insert; if the body breaks off, kill the insert before it inserts more."""
        with Pipe() as pipe:
            sql = statement.with_input_file(pipe.read_path, compression, self.tag)
            query = asyncio.ensure_future(
                self.threads.run_statement(
                    lambda: self._check_and_run(sql, pipe.read_path, "TabSeparated", params)
                )
            )
            feed = asyncio.ensure_future(pipe.feed(body))
            try:
                await asyncio.wait((query, feed), return_when=asyncio.FIRST_COMPLETED)
                if not query.done():
                    feed.result()
            except BaseException:
                await _cancel(feed)
                await self._kill(query, release_after_kill=pipe.close_write)
                raise
            await _cancel(feed)
            pipe.close_write()
            self.result = await self._wait_for(query)

    async def stream(
        self, statement: Statement, default_format: str, compression: str, params: dict[str, str]
    ) -> AsyncGenerator[bytes]:
        """Yield the result while the engine produces it; the engine compresses it."""
        with Pipe() as pipe:
            sql = statement.with_output_file(pipe.write_path, default_format, compression, self.tag)
            query = asyncio.ensure_future(
                self.threads.run_statement(
                    lambda: self._check_and_run(sql, pipe.write_path, default_format, params)
                )
            )
            query.add_done_callback(lambda _: pipe.close_write())
            try:
                while chunk := await pipe.read():
                    yield chunk
                self.result = await self._wait_for(query)
            finally:
                # First: a statement that has produced its result and only writes it is not in
                # system.processes any more, so KILL QUERY would not find it. It ends when nobody reads.
                pipe.close_read()
                await self._kill(query)

    async def counts(self) -> QueryResult:
        """Return the engine's counts: the final ones when it is done, else those so far."""
        if self.result is not None:
            return self.result
        return await self.threads.run_control(lambda: self.engine.progress(self.tag))

    async def empty_native_block(
        self, statement: Statement, default_format: str, params: dict[str, str]
    ) -> bytes | None:
        """Return a Native block with the columns if the result is Native and has no rows, else None."""
        has_rows = self.result is None or self.result.result_rows > 0
        if (
            has_rows
            or statement.kind is not StatementKind.OUTPUT
            or (statement.format or default_format) != "Native"
        ):
            return None
        return await self.threads.run_statement(lambda: self._describe_columns(statement, params))

    def _describe_columns(self, statement: Statement, params: dict[str, str]) -> bytes:
        if statement.is_select:
            query, block = f"DESCRIBE TABLE ({statement.body}\n)", native_format.empty_block_from_describe
        else:
            query, block = f"{statement.body}\nFORMAT JSONCompact", native_format.empty_block_from_meta
        self._check(query, None, params)
        return block(self.context.run(query, "JSONCompact", params).data)

    def _check(
        self, sql: str, own_file: str | None, params: dict[str, str]
    ) -> statement_policy.KillRequest | None:
        return statement_policy.check(self.context.canonical(sql), self.account, own_file, params)

    def _check_and_run(
        self, sql: str, own_file: str, default_format: str, params: dict[str, str]
    ) -> QueryResult:
        self._check(sql, own_file, params)
        return self.context.run(sql, default_format, params)

    async def _wait_for(self, query: "asyncio.Future[T]") -> T:
        """Wait for a statement; kill it when this wait is cancelled."""
        try:
            return await asyncio.shield(query)
        except asyncio.CancelledError:
            await self._kill(query)
            raise

    async def _kill(
        self, query: "asyncio.Future[T]", *, release_after_kill: Callable[[], None] | None = None
    ) -> None:
        """Kill the statement if it still runs, and wait for its end, even when this call is cancelled.

        Args:
            query: the statement.
            release_after_kill: closes the pipe that an insert waits for. It runs after the kill: an insert
                whose pipe ends before it is killed would commit the rows that have arrived so far.
        """
        killing = asyncio.ensure_future(self._kill_until_done(query, release_after_kill))
        while not killing.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(killing)
        killing.result()

    async def _kill_until_done(self, query: "asyncio.Future[T]", release: Callable[[], None] | None) -> None:
        started, wait_s, is_reported = time.monotonic(), FIRST_KILL_WAIT_S, False
        while not query.done():
            is_found = await self.threads.run_control(lambda: self.engine.kill(self.tag))
            if is_found and release is not None:
                release()
            await asyncio.wait((query,), timeout=wait_s)
            wait_s = min(2 * wait_s, MAX_KILL_WAIT_S)
            if not is_reported and time.monotonic() - started > SLOW_KILL_S:
                is_reported = True
                log.warning("a cancelled statement goes on user=%s tag=%s", self.account.name, self.tag)
        if not query.cancelled():
            # Mark the exception as retrieved, so that asyncio does not log it.
            query.exception()


async def _cancel(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.wait((task,))
