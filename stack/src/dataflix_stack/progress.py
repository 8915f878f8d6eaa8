"""Progress lines on stderr."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock

from dataflix_common import command_end

_LOCK = Lock()
_lost = Event()


def say(text: str) -> None:
    """Print one line. Steps run in parallel, so a lock keeps their lines apart.

    A line that can't be written does not end the work in the middle; see `is_output_lost`.
    """
    with _LOCK:
        if sys.stderr is not None and not command_end.say(text):
            _lost.set()


def is_output_lost() -> bool:
    """Return whether a line could not be written: the command then ends with 1, although its work is done."""
    return _lost.is_set()


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print how long the block took; print nothing if it raises, as the error has a message of its own."""
    began = time.monotonic()
    yield
    say(f"  {name:<44} {time.monotonic() - began:6.1f} s")
