"""A function that a thread of its own calls again and again, until it is stopped."""

import logging
import threading
from collections.abc import Callable

from dataflix_backend.exceptions import UnavailableError

_log = logging.getLogger(__name__)


class Repeated:
    """Calls a function at an interval. Whatever the function raises, it is called again."""

    def __init__(self, call: Callable[[], object], interval_s: float, name: str) -> None:
        """Make it, without starting it.

        Args:
            call: the function. It may raise UnavailableError: then nothing was read, so nothing is forgotten.
            interval_s: the pause before each call, s.
            name: of the thread.
        """
        self._call = call
        self._interval_s = interval_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Call the function from now on, first after one interval."""
        self._thread.start()

    def stop(self) -> None:
        """Call it no more. A call that is running ends by itself: see ``join``."""
        self._stopped.set()

    def join(self, wait_s: float) -> bool:
        """Wait for the end of the last call, and return whether it has ended."""
        if self._thread.ident is not None:
            self._thread.join(wait_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval_s):
            try:
                self._call()
            except UnavailableError:
                # Nobody else can change what is in Postgres meanwhile either.
                continue
            except Exception:  # noqa: BLE001 - logged in full
                # The thread must live: without it a worker would keep what it knows for ever.
                _log.exception("repeated call failed", extra={"repeated": self._thread.name})
