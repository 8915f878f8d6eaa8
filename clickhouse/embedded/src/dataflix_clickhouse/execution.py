"""Running one statement: its data in through a pipe, its result out through one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from typing import TypeVar

from dataflix_clickhouse import native
from dataflix_clickhouse.engine import Engine, Handle, Outcome, quote
from dataflix_clickhouse.pipes import Pipe
from dataflix_clickhouse.statements import Shape, Statement

T = TypeVar("T")


class Execution:
    """One statement on one handle."""

    def __init__(self, engine: Engine, handle: Handle, pool: Executor, query_id: str) -> None:
        self._engine = engine
        self._handle = handle
        self._pool = pool
        self._query_id = query_id
        self.outcome: Outcome | None = None

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def insert(self, statement: Statement, body: AsyncIterator[bytes], params: dict[str, str]) -> None:
        """Stream the body into the engine."""
        with Pipe() as pipe:
            sql = statement.reading_from(pipe.read_path)
            query = asyncio.ensure_future(self._in_thread(lambda: self._handle.run(sql, params=params)))
            feed = asyncio.ensure_future(self._feed(pipe, body))
            try:
                await asyncio.wait((query, feed), return_when=asyncio.FIRST_COMPLETED)
                if not query.done():
                    feed.result()
                    pipe.close_write()
                self.outcome = await asyncio.shield(query)
            except BaseException:
                await self._cancel(query, pipe)
                raise
            finally:
                feed.cancel()

    @staticmethod
    async def _feed(pipe: Pipe, body: AsyncIterator[bytes]) -> None:
        async for chunk in body:
            await pipe.write(chunk)

    async def _cancel(self, query: "asyncio.Future[Outcome]", pipe: Pipe) -> None:
        """Kill the query before its pipe ends, so that what has come in so far is not taken for the whole."""
        while not query.done():
            condition = f"Settings['log_comment'] = {quote(self._query_id)}"
            await self._in_thread(lambda: self._engine.admin(f"KILL QUERY WHERE {condition}"))
            pipe.close_write()
            await asyncio.wait((query,), timeout=0.1)
        query.exception()

    async def output(
        self, statement: Statement, default_format: str, params: dict[str, str]
    ) -> AsyncIterator[bytes]:
        """Yield the result as the engine produces it; `outcome` is set before the last bytes come."""
        if statement.shape is Shape.OTHER:
            self.outcome = await self._in_thread(
                lambda: self._handle.run(statement.text, default_format, params)
            )
            yield self.outcome.data
            return
        is_empty = True
        with Pipe() as pipe:
            sql = statement.writing_to(pipe.write_path, default_format)
            query = asyncio.ensure_future(
                self._in_thread(lambda: self._handle.run(sql, default_format, params))
            )
            query.add_done_callback(lambda _: pipe.close_write())
            try:
                while chunk := await pipe.read():
                    is_empty = False
                    if query.done():
                        self.outcome = query.result()
                    yield chunk
                self.outcome = await asyncio.shield(query)
            except BaseException:
                await self._cancel(query, pipe)
                raise
        if is_empty and (statement.format or default_format) == "Native":
            yield await self._in_thread(lambda: self._empty_native(statement, params))

    def _empty_native(self, statement: Statement, params: dict[str, str]) -> bytes:
        if statement.is_select:
            described = self._handle.run(f"DESCRIBE TABLE ({statement.body}\n)", "JSONCompact", params)
            return native.header_of_description(described.data)
        shown = self._handle.run(f"{statement.body}\nFORMAT JSONCompact", "JSONCompact", params)
        return native.header_of_meta(shown.data)
