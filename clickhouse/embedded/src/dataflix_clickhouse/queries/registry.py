"""The registry of running queries, by query id."""

import asyncio
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from dataflix_clickhouse.access.accounts import Account
from dataflix_clickhouse.access.limits import account_memory
from dataflix_clickhouse.access.statement_policy import KillRequest
from dataflix_clickhouse.engine.chdb_engine import Engine
from dataflix_clickhouse.engine.thread_pools import ThreadPools
from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import QueryError, query_error

log = logging.getLogger(__name__)

# How often the memory of running statements is compared with what their accounts may use.
MEMORY_CHECK_S = 0.5


@dataclass
class _Entry:
    account: Account
    tag: str
    task: "asyncio.Task[object]"
    killed_for: QueryError | None = None
    has_ended: asyncio.Event = field(default_factory=asyncio.Event)


class QueryRegistry:
    """Knows the running queries, to limit their number and to kill them."""

    def __init__(self, engine: Engine, threads: ThreadPools) -> None:
        self._engine = engine
        self._threads = threads
        self._entries: dict[str, _Entry] = {}
        self._guard: asyncio.Task[None] | None = None

    @contextmanager
    def register(self, account: Account, query_id: str) -> Iterator[str]:
        """Register the query of the current task while the block runs.

        Yields:
            The tag that identifies the statement in system.processes.

        Raises:
            QueryError: a query with this id is running, or the account runs as many as it may.
        """
        if query_id in self._entries:
            raise query_error(
                ErrorCode.QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING,
                f"Query with id = {query_id} is already running.",
            )
        running = sum(entry.account == account for entry in self._entries.values())
        if running >= account.max_statements:
            raise query_error(
                ErrorCode.TOO_MANY_SIMULTANEOUS_QUERIES,
                f"Too many simultaneous queries for user {account.name}. Maximum: {account.max_statements}.",
            )
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a query must run within an asyncio task")
        entry = _Entry(account, f"dataflix-{secrets.token_hex(8)}", task)
        self._entries[query_id] = entry
        if running and (self._guard is None or self._guard.done()):
            self._guard = asyncio.create_task(self._guard_memory())
        try:
            yield entry.tag
        except (QueryError, asyncio.CancelledError) as error:
            if entry.killed_for is None:
                raise
            raise entry.killed_for from error
        finally:
            del self._entries[query_id]
            entry.has_ended.set()

    async def _guard_memory(self) -> None:
        """Kill the largest statement of an account whose statements together use more than it may.

        The engine bounds each statement by itself. It has limits for all statements of a user, too, but only
        one user.
        """
        while len(self._entries) > 1:
            used = await self._threads.run_control(self._engine.memory_by_tag)
            for account in {entry.account for entry in self._entries.values()}:
                own = {one.tag: one for one in self._entries.values() if one.account == account}
                if sum(used.get(tag, 0) for tag in own) > account_memory(account):
                    largest = own[max(own, key=lambda tag: used.get(tag, 0))]
                    if largest.killed_for is not None:
                        # An insert that waits for its body does not notice the engine's kill.
                        largest.task.cancel()
                        continue
                    largest.killed_for = query_error(
                        ErrorCode.MEMORY_LIMIT_EXCEEDED,
                        f"The statements of user {account.name} together use more than "
                        f"{account_memory(account)} bytes; this one used the most.",
                    )
                    log.warning("memory limit of an account user=%s tag=%s", account.name, largest.tag)
                    await self._threads.run_control(partial(self._engine.kill, largest.tag))
            await asyncio.sleep(MEMORY_CHECK_S)

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
