"""Copies again and again while the stack runs."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from dataflix_source.errors import BusyError, SourceError

# A copy that reads everything may take long; it then rests so long that it takes a twentieth of the time.
_REST = 20


def follow(
    copy_once: Callable[[], str],
    every: float,
    *,
    out: Callable[[str], None],
    rest: Callable[[float], None] = time.sleep,
) -> None:
    """Copy, rest and begin again, until the process is ended.

    Nothing is lost when it is killed: a copy is one transaction, and the next one reads from its beginning.

    Args:
        copy_once: copies; returns what has changed, or nothing.
        every: seconds from the end of a copy to the next one, at least.
        out: called with each change and each new problem.
        rest: waits for some seconds.
    """
    problem = None
    while True:
        began = time.monotonic()
        try:
            text, failure = copy_once(), None
        except BusyError:
            # Somebody else copies, so there is nothing to do and nothing wrong.
            text, failure = "", problem
        except SourceError as error:
            text, failure = "", str(error)
        if failure and failure != problem:
            out(_line(failure))
        elif problem and not failure:
            out(_line(text or "The copy works again."))
        elif text:
            out(_line(text))
        problem = failure
        rest(max(every, _REST * (time.monotonic() - began)))


def _line(text: str) -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}"
