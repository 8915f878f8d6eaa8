"""The statements at work, by the id their client gave them."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from dataflix_clickhouse.engine import Engine
from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import refused
from dataflix_clickhouse.gate import Kill
from dataflix_clickhouse.threads import MAX_STATEMENTS, Threads
from dataflix_clickhouse.users import Account


@dataclass
class _Entry:
    account: Account
    tag: str
    task: "asyncio.Task[object]"
    has_ended: asyncio.Event = field(default_factory=asyncio.Event)


class Running:
    """Which statements run, so that they can be counted and killed."""

    def __init__(self, engine: Engine, threads: Threads) -> None:
        self._engine = engine
        self._threads = threads
        self._entries: dict[str, _Entry] = {}

    @contextmanager
    def tag(self, account: Account, query_id: str) -> Iterator[str]:
        """Keep a tag for the statement of the current task as long as it runs.

        Raises:
            QueryError: a statement with this id is running, or as many as can.
        """
        if query_id in self._entries:
            raise refused(
                ErrorCode.QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING,
                f"Query with id = {query_id} is already running.",
            )
        if len(self._entries) >= MAX_STATEMENTS:
            raise refused(
                ErrorCode.TOO_MANY_SIMULTANEOUS_QUERIES,
                f"Too many simultaneous queries. Maximum: {MAX_STATEMENTS}.",
            )
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a statement runs within a task")
        entry = _Entry(account, f"dataflix-{secrets.token_hex(8)}", task)
        self._entries[query_id] = entry
        try:
            yield entry.tag
        finally:
            del self._entries[query_id]
            entry.has_ended.set()

    async def kill(self, account: Account, kill: Kill) -> bytes:
        """End the statement with this id when it is the account's, or anybody's for the administrator.

        Returns KILL QUERY's answer, which is empty when there is nothing to end.
        """
        entry = self._entries.get(kill.query_id)
        if entry is None or (entry.account != account and not account.is_admin):
            return b""
        if kill.mode == "TEST":
            return await self._threads.control(lambda: self._engine.kill(entry.tag, "TEST"))
        answer = await self._threads.control(lambda: self._engine.kill(entry.tag))
        # An insert that waits for its body sleeps through the engine's kill; cancelling its request wakes it.
        entry.task.cancel()
        if kill.mode == "SYNC":
            await entry.has_ended.wait()
            answer = answer.replace(b"waiting", b"finished", 1)
        return answer
