"""Limits on how often a key may be used, counted by all workers of a machine together."""

import math
import time
from collections.abc import Callable

from dataflix_backend.api_key import ApiKey
from dataflix_backend.exceptions import RateLimitedError
from dataflix_backend.services.access.shared_counters import SharedCounters, WindowCount

# A lookup of a key takes Postgres well under a millisecond; this bounds what a client that guesses can cause.
UNKNOWN_KEYS_PER_SECOND = 50
# The shortest wait after a refusal, so that a refusal never says "now".
_SHORTEST_WAIT_S = 0.001


class SlidingWindow:
    """Counts by name over a sliding window: this window's count plus the part of the last one still in reach.

    Args:
        limit: hits that a window allows.
        window_s: the window's length in seconds.
        counters: where the counts are kept.
        clock: a monotonic clock that all users of ``counters`` share. With the wall clock, each correction
            of the time would start a new window.
    """

    def __init__(
        self,
        limit: int,
        window_s: float,
        counters: SharedCounters,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit = limit
        self._window_s = window_s
        self._counters = counters
        self._clock = clock

    def wait_s(self, name: str) -> float:
        """Return the seconds until one more hit is allowed, 0 when it is allowed now."""
        with self._counters.locked(name) as count:
            return self._wait_s(count)

    def hit(self, name: str) -> float:
        """Count one hit if it is allowed; returns 0, or the seconds until it is allowed."""
        with self._counters.locked(name) as count:
            wait_s = self._wait_s(count)
            if not wait_s:
                count.current += 1
            return wait_s

    def _wait_s(self, count: WindowCount) -> float:
        passed = self._advance(count)
        room = self.limit - count.current
        if room <= 0:
            return (1 - passed) * self._window_s
        if count.previous * (1 - passed) < room:
            return 0.0
        return max((1 - room / count.previous - passed) * self._window_s, _SHORTEST_WAIT_S)

    def _advance(self, count: WindowCount) -> float:
        """Move a count to the current window and return the part of that window that has passed, 0 to 1."""
        window, passed = divmod(self._clock() / self._window_s, 1)
        if window != count.window:
            count.previous = count.current if window == count.window + 1 else 0
            count.current = 0
            count.window = int(window)
        return passed


class RateLimiter:
    """Limits requests of each key in a sliding minute, and lookups of unknown keys in a sliding second.

    Args:
        ordinary: requests per minute of a key without the scope admin; 0 for no limit.
        admin: requests per minute of a key with the scope admin; 0 for no limit.
        counters: where the counts are kept.
    """

    def __init__(self, ordinary: int, admin: int, counters: SharedCounters) -> None:
        self._ordinary = SlidingWindow(ordinary, 60, counters) if ordinary else None
        self._admin = SlidingWindow(admin, 60, counters) if admin else None
        self._unknown = SlidingWindow(UNKNOWN_KEYS_PER_SECOND, 1, counters)

    def count(self, key: ApiKey) -> None:
        """Count a request.

        Raises:
            RateLimitedError: it is one too many.
        """
        window = self._admin if key.is_admin else self._ordinary
        if window is not None and (wait_s := window.hit(str(key.key_id))):
            raise RateLimitedError(f"This key may ask {window.limit} times a minute.", math.ceil(wait_s))

    def require_few_unknown(self) -> None:
        """Check that few unknown keys are being sent.

        Raises:
            RateLimitedError: there are too many, so another one is not looked up.
        """
        if self._unknown.wait_s("unknown"):
            raise RateLimitedError("Too many unknown keys are being sent; yours could not be looked up.", 1)

    def count_unknown(self) -> None:
        """Count an unknown key."""
        self._unknown.hit("unknown")
