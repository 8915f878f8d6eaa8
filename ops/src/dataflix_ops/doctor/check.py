"""Checks and their results. Checks run in parallel, each with its own timeout."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dataflix_stack.config.settings import Settings

# A slower check counts as failed, even if it would pass in the end.
TIMEOUT_S = 60.0


class CheckError(Exception):
    """A service responds, but not as it should; the message says how."""


@dataclass(frozen=True)
class Check:
    """One check of one service.

    Attributes:
        service: its name in `./run.sh status`.
        what: what is checked, in a few words; the key `check` of the JSON report.
        run: does it; returns a short result, raises any error.
        timeout_s: how long it may take.
    """

    service: str
    what: str
    run: Callable[[Settings], str]
    timeout_s: float = TIMEOUT_S


@dataclass(frozen=True)
class Outcome:
    """The result of a check.

    Attributes:
        detail: the result, or what was wrong.
        seconds: how long it took.
    """

    check: Check
    works: bool
    detail: str
    seconds: float


def run_checks(checks: Sequence[Check], settings: Settings) -> list[Outcome]:
    """Run all checks. A check that fails or hangs does not stop the others.

    Returns:
        The outcomes, in the order of `checks`.
    """
    found: dict[int, Outcome] = {}
    began = time.monotonic()
    threads = [
        # Daemons, because a check that hangs must not keep the process alive.
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
        works, detail = True, check.run(settings)
    # Any error of a client library is the result of this check.
    except Exception as error:  # noqa: BLE001
        works, detail = False, _error_text(error)
    found[number] = Outcome(check, works, detail, time.monotonic() - began)


def _error_text(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, CheckError) else f"{type(error).__name__}: {text}"
