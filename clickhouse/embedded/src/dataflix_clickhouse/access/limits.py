"""What the accounts may use together and each for itself, in bytes."""

import os
from contextlib import suppress
from pathlib import Path

from dataflix_clickhouse.access.accounts import Account

# The rest of the machine's memory is for the other services on it, and for caches of files.
_ENGINE_SHARE = 0.6
# Reading and writing files wait, too, so a few threads are of use on one core.
_LEAST_THREADS = 8
# cgroup v2 and v1; a container may have less memory than the machine.
_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def engine_memory() -> int:
    """Return how many bytes of memory the engine may use."""
    available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in _CGROUP_LIMITS:
        # Without a limit, the file is missing or has the word max.
        with suppress(OSError, ValueError):
            available = min(available, int(path.read_text()))
    return int(available * _ENGINE_SHARE)


def statement_threads() -> int:
    """Return how many threads one statement may use; more would only wait for each other."""
    return max(_LEAST_THREADS, len(os.sched_getaffinity(0)))


def account_memory(account: Account) -> int:
    """Return how many bytes of memory the statements of an account may use."""
    return int(engine_memory() * account.memory_share)
