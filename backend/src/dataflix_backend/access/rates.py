"""How often a key may ask: counted in each worker's memory, so all of them together allow that much each."""

import math
import threading
import time
from collections import Counter
from collections.abc import Callable

from dataflix_backend.access.keys import Key
from dataflix_backend.errors import Problem

# Looking a key up takes Postgres well under a millisecond; somebody who guesses could ask for nothing else.
UNKNOWN_KEYS_PER_SECOND = 50
# Who is refused waits, be it ever so short.
_SOON_S = 0.001


class SlidingCounts:
    """Counts by name over a sliding window: this window's, and of the last one's the share still in reach.

    ``clock`` is one that never jumps, or somebody's minute would begin anew with each correction of the time.
    """

    def __init__(self, limit: int, window_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._window_s = window_s
        self._clock = clock
        self._lock = threading.Lock()
        self._number = 0
        self._present: Counter[str] = Counter()
        self._before: Counter[str] = Counter()

    def wait_s(self, name: str) -> float:
        """Return in how many seconds one more is allowed; 0 when it is now."""
        with self._lock:
            return self._wait_s(name)

    def hit(self, name: str) -> float:
        """Count one if it is allowed; returns 0, or in how many seconds it will be."""
        with self._lock:
            wait_s = self._wait_s(name)
            if not wait_s:
                self._present[name] += 1
            return wait_s

    def _wait_s(self, name: str) -> float:
        passed = self._turn()
        present, before = self._present[name], self._before[name]
        room = self.limit - present
        if room <= 0:
            return (1 - passed) * self._window_s
        if before * (1 - passed) < room:
            return 0.0
        return max((1 - room / before - passed) * self._window_s, _SOON_S)

    def _turn(self) -> float:
        """Begin the window of this moment, and return which share of it has passed."""
        number, passed = divmod(self._clock() / self._window_s, 1)
        if number != self._number:
            self._before = self._present if number == self._number + 1 else Counter()
            self._present = Counter()
            self._number = int(number)
        return passed


class Rates:
    """Counts requests by key over a sliding minute, and keys that nobody knows over a sliding second.

    ``ordinary`` and ``admin`` are requests a minute, for keys without and with the scope admin; 0: no limit.
    """

    def __init__(self, ordinary: int, admin: int) -> None:
        self._ordinary = SlidingCounts(ordinary, 60) if ordinary else None
        self._admin = SlidingCounts(admin, 60) if admin else None
        self._unknown = SlidingCounts(UNKNOWN_KEYS_PER_SECOND, 1)

    def count(self, key: Key) -> None:
        """Count a request; raises Problem (429) when it is one too many."""
        counts = self._admin if key.is_admin else self._ordinary
        if counts is not None and (wait_s := counts.hit(str(key.key_id))):
            raise _too_many(f"This key may ask {counts.limit} times a minute.", math.ceil(wait_s))

    def require_few_unknown(self) -> None:
        """Raise Problem (429) while too many keys are sent that nobody knows."""
        if self._unknown.wait_s("unknown"):
            raise _too_many("Too many unknown keys are being sent; yours could not be looked up.", 1)

    def count_unknown(self) -> None:
        """Count a key that nobody knows."""
        self._unknown.hit("unknown")


def _too_many(detail: str, seconds: int) -> Problem:
    return Problem(429, "too-many-requests", detail, headers={"Retry-After": str(seconds)})
