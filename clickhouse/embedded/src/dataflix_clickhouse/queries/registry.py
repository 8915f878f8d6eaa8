"""The registry of running queries, by query id."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from dataflix_clickhouse.access.accounts import Account
from dataflix_clickhouse.access.statement_policy import KillRequest
from dataflix_clickhouse.engine.chdb_engine import Engine
from dataflix_clickhouse.engine.thread_pools import MAX_STATEMENTS, ThreadPools
from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import query_error


@dataclass
class _Entry:
    account: Account
    tag: str
    task: "asyncio.Task[object]"
    has_ended: asyncio.Event = field(default_factory=asyncio.Event)


class QueryRegistry:
    """Knows the running queries, to limit their number and to kill them."""

    def __init__(self, engine: Engine, threads: ThreadPools) -> None:
        self._engine = engine
        self._threads = threads
        self._entries: dict[str, _Entry] = {}

    @contextmanager
    def register(self, account: Account, query_id: str) -> Iterator[str]:
        """Register the query of the current task while the block runs.

        Yields:
            The tag that identifies the statement in system.processes.

        Raises:
            QueryError: a query with this id is running, or too many queries are running.
        """
        if query_id in self._entries:
            raise query_error(
                ErrorCode.QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING,
                f"Query with id = {query_id} is already running.",
            )
        if len(self._entries) >= MAX_STATEMENTS:
            raise query_error(
                ErrorCode.TOO_MANY_SIMULTANEOUS_QUERIES,
                f"Too many simultaneous queries. Maximum: {MAX_STATEMENTS}.",
            )
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a query must run within an asyncio task")
        entry = _Entry(account, f"dataflix-{secrets.token_hex(8)}", task)
        self._entries[query_id] = entry
        try:
            yield entry.tag
        finally:
            del self._entries[query_id]
            entry.has_ended.set()

    async def kill(self, account: Account, request: KillRequest) -> bytes:
        """Kill a query of the account; the administrator can kill every query.

        Returns:
            The result of KILL QUERY, empty when there is no such query.
        """
        entry = self._entries.get(request.query_id)
        if entry is None or (entry.account != account and not account.is_admin):
            return b""
        if request.mode == "TEST":
            return await self._threads.run_control(lambda: self._engine.kill(entry.tag, "TEST"))
        answer = await self._threads.run_control(lambda: self._engine.kill(entry.tag))
        # An insert that waits for its body does not notice the engine's kill, so cancel its request too.
        entry.task.cancel()
        if request.mode == "SYNC":
            await entry.has_ended.wait()
            answer = answer.replace(b"waiting", b"finished", 1)
        return answer
