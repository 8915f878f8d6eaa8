"""Progress lines on stderr: one when a step begins to matter, one when it is done."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_LOCK = Lock()


def say(text: str) -> None:
    """Print one line; steps run side by side, so lines must not mix."""
    with _LOCK:
        print(text, file=sys.stderr, flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Print how long the block took; a block that raises says nothing, its error speaks."""
    began = time.monotonic()
    yield
    say(f"  {what:<44} {time.monotonic() - began:6.1f} s")
