"""A check, what came of it, and how checks are run: side by side, each within its own time."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dataflix_stack.config.settings import Settings

# A check that takes longer has found something wrong, even if it would end well some day.
TIMEOUT_S = 60.0


class CheckError(Exception):
    """Something answered, but not as it should; the message says what."""


@dataclass(frozen=True)
class Check:
    """One question to one service.

    Attributes:
        service: its name in `./run.sh status`.
        what: what is checked, in a few words.
        ask: does it; returns what was seen, raises whatever goes wrong.
        timeout_s: how long it may take.
    """

    service: str
    what: str
    ask: Callable[[Settings], str]
    timeout_s: float = TIMEOUT_S


@dataclass(frozen=True)
class Outcome:
    """What came of a check.

    Attributes:
        detail: what was seen, or what was wrong.
        seconds: how long it took.
    """

    check: Check
    works: bool
    detail: str
    seconds: float


def run(checks: Sequence[Check], settings: Settings) -> list[Outcome]:
    """Run all checks; one that fails or hangs stops no other.

    Returns:
        the outcomes in the order of `checks`.
    """
    found: dict[int, Outcome] = {}
    began = time.monotonic()
    threads = [
        # A daemon: one that hangs must not keep the process alive.
        threading.Thread(target=_run_one, args=(check, settings, found, number), daemon=True)
        for number, check in enumerate(checks)
    ]
    for thread in threads:
        thread.start()
    for thread, check in zip(threads, checks, strict=True):
        thread.join(max(0.0, began + check.timeout_s - time.monotonic()))
    return [
        found.get(number) or Outcome(check, False, "took too long", time.monotonic() - began)
        for number, check in enumerate(checks)
    ]


def _run_one(check: Check, settings: Settings, found: dict[int, Outcome], number: int) -> None:
    began = time.monotonic()
    try:
        works, detail = True, check.ask(settings)
    # Whatever a client library raises is this check's finding, and told in full below.
    except Exception as error:  # noqa: BLE001
        works, detail = False, _told(error)
    found[number] = Outcome(check, works, detail, time.monotonic() - began)


def _told(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, CheckError) else f"{type(error).__name__}: {text}"
