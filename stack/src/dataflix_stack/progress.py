"""Progress lines on stderr."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_LOCK = Lock()


def say(text: str) -> None:
    """Print one line. Steps run in parallel, so a lock keeps their lines apart."""
    with _LOCK:
        print(text, file=sys.stderr, flush=True)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print how long the block took; print nothing if it raises, as the error has a message of its own."""
    began = time.monotonic()
    yield
    say(f"  {name:<44} {time.monotonic() - began:6.1f} s")
