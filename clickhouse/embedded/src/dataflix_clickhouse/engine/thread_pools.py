"""Thread pools for calls to the engine, which block."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

# For calls of milliseconds: opening sessions, checking and killing statements. They have their own threads,
# so that statements that wait for clients cannot block KILL QUERY.
CONTROL_THREADS = 8
# For reading the text of long statements, which may take seconds.
PARSER_THREADS = 2


class ThreadPools:
    """Pools for statements, for the short calls around them, for long texts, and for the health check."""

    def __init__(self, statements: int) -> None:
        """Make the pools.

        Args:
            statements: the number of threads for statements. A statement keeps its thread while it runs; an
                insert runs until its body has arrived.
        """
        self._statements = ThreadPoolExecutor(statements, thread_name_prefix="statement")
        self._control = ThreadPoolExecutor(CONTROL_THREADS, thread_name_prefix="control")
        self._parsers = ThreadPoolExecutor(PARSER_THREADS, thread_name_prefix="parser")
        self._health = ThreadPoolExecutor(1, thread_name_prefix="health")

    async def run_statement(self, call: Callable[[], T]) -> T:
        """Run a statement outside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._statements, call)

    async def run_control(self, call: Callable[[], T]) -> T:
        """Run a short call outside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._control, call)

    async def run_parser(self, call: Callable[[], T]) -> T:
        """Read a long text outside the event loop, which answers others meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._parsers, call)

    async def run_health_check(self, call: Callable[[], T]) -> T:
        """Run the health check outside the event loop, whatever waits for the other threads."""
        return await asyncio.get_running_loop().run_in_executor(self._health, call)

    def close(self) -> None:
        """Wait until all calls have returned."""
        self._statements.shutdown()
        self._control.shutdown()
        self._parsers.shutdown()
        self._health.shutdown()
