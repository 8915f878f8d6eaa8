"""Thread pools for calls to the engine, which block."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

# For calls of milliseconds: opening sessions, checking and killing statements. They have their own threads,
# so that statements that wait for clients cannot block KILL QUERY.
CONTROL_THREADS = 8


class ThreadPools:
    """One pool for statements, and one for the short calls around them."""

    def __init__(self, statements: int) -> None:
        """Make the pools.

        Args:
            statements: the number of threads for statements. A statement keeps its thread while it runs; an
                insert runs until its body has arrived.
        """
        self._statements = ThreadPoolExecutor(statements, thread_name_prefix="statement")
        self._control = ThreadPoolExecutor(CONTROL_THREADS, thread_name_prefix="control")

    async def run_statement(self, call: Callable[[], T]) -> T:
        """Run a statement outside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._statements, call)

    async def run_control(self, call: Callable[[], T]) -> T:
        """Run a short call outside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._control, call)

    def close(self) -> None:
        """Wait until all calls have returned."""
        self._statements.shutdown()
        self._control.shutdown()
