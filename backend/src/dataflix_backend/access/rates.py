"""How often a key may ask, counted by all workers of a machine together."""

import math
import time
from collections.abc import Callable

from dataflix_backend.access.keys import Key
from dataflix_backend.access.shelf import Count, Shelf
from dataflix_backend.errors import Problem

# Looking a key up takes Postgres well under a millisecond; somebody who guesses could ask for nothing else.
UNKNOWN_KEYS_PER_SECOND = 50
# Who is refused waits, be it ever so short.
_SOON_S = 0.001


class SlidingCounts:
    """Counts by name over a sliding window: this window's, and of the last one's the share still in reach.

    ``shelf`` holds them. ``clock`` is one that never jumps, or somebody's minute would begin anew with each
    correction of the time, and one that all who share the shelf read alike.
    """

    def __init__(
        self, limit: int, window_s: float, shelf: Shelf, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limit = limit
        self._window_s = window_s
        self._shelf = shelf
        self._clock = clock

    def wait_s(self, name: str) -> float:
        """Return in how many seconds one more is allowed; 0 when it is now."""
        with self._shelf.held(name) as count:
            return self._wait_s(count)

    def hit(self, name: str) -> float:
        """Count one if it is allowed; returns 0, or in how many seconds it will be."""
        with self._shelf.held(name) as count:
            wait_s = self._wait_s(count)
            if not wait_s:
                count.present += 1
            return wait_s

    def _wait_s(self, count: Count) -> float:
        passed = self._turn(count)
        room = self.limit - count.present
        if room <= 0:
            return (1 - passed) * self._window_s
        if count.before * (1 - passed) < room:
            return 0.0
        return max((1 - room / count.before - passed) * self._window_s, _SOON_S)

    def _turn(self, count: Count) -> float:
        """Bring a count to the window of this moment, and return which share of it has passed."""
        number, passed = divmod(self._clock() / self._window_s, 1)
        if number != count.number:
            count.before = count.present if number == count.number + 1 else 0
            count.present = 0
            count.number = int(number)
        return passed


class Rates:
    """Counts requests by key over a sliding minute, and keys that nobody knows over a sliding second.

    ``ordinary`` and ``admin`` are requests a minute, for keys without and with the scope admin; 0: no limit.
    """

    def __init__(self, ordinary: int, admin: int, shelf: Shelf) -> None:
        self._ordinary = SlidingCounts(ordinary, 60, shelf) if ordinary else None
        self._admin = SlidingCounts(admin, 60, shelf) if admin else None
        self._unknown = SlidingCounts(UNKNOWN_KEYS_PER_SECOND, 1, shelf)

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
