"""Locks between processes, by a file. The system releases them when their process ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


class LockHeldError(Exception):
    """Another process holds the lock."""


@contextmanager
def exclusive_lock(path: Path, *, wait: bool | float = False) -> Iterator[None]:
    """Hold the lock of the file ``path``, which is made if it is missing.

    Args:
        path: the lock file; its folder must exist.
        wait: wait until the lock is free instead of raising at once; a number is the most seconds to wait.

    Raises:
        LockHeldError: another process holds it, after the wait.
        OSError: the file cannot be made.
    """
    lock = FileLock(path, timeout=-1 if wait is True else float(wait), mode=0o600)
    try:
        lock.acquire()
    except Timeout as error:
        raise LockHeldError(f"another process holds {path}") from error
    try:
        yield
    finally:
        lock.release()
