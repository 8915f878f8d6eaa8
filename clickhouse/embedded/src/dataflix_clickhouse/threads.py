"""The threads in which the engine is called."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

# ClickHouse's max_concurrent_queries. A statement has its thread for as long as it runs, and an insert runs
# for as long as its body takes to come.
MAX_STATEMENTS = 100
# For what takes milliseconds: opening sessions, checking and killing statements. They have threads of their
# own, so that statements waiting for their clients cannot hold up what ends them.
CONTROL_THREADS = 8


class Threads:
    """Threads for statements, and for the short calls around them."""

    def __init__(self) -> None:
        self._statements = ThreadPoolExecutor(MAX_STATEMENTS, thread_name_prefix="statement")
        self._control = ThreadPoolExecutor(CONTROL_THREADS, thread_name_prefix="control")

    async def statement(self, call: Callable[[], T]) -> T:
        """Run a statement outside of the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._statements, call)

    async def control(self, call: Callable[[], T]) -> T:
        """Run a short call outside of the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._control, call)

    def close(self) -> None:
        """Wait until every call has returned."""
        self._statements.shutdown()
        self._control.shutdown()
