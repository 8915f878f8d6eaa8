"""How often a key may ask: counted in each worker's memory, so all of them together allow that much each."""

import math
import time

from limits import RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from dataflix_backend.access.keys import Key
from dataflix_backend.errors import Problem

# Looking a key up takes Postgres well under a millisecond; somebody who guesses could ask for nothing else.
UNKNOWN_KEYS_PER_SECOND = 50


class Rates:
    """Counts requests by key over a sliding minute, and keys that nobody knows over a sliding second.

    ``ordinary`` and ``admin`` are requests a minute, for keys without and with the scope admin; 0: no limit.
    """

    def __init__(self, ordinary: int, admin: int) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._ordinary = RateLimitItemPerMinute(ordinary) if ordinary else None
        self._admin = RateLimitItemPerMinute(admin) if admin else None
        self._unknown = RateLimitItemPerSecond(UNKNOWN_KEYS_PER_SECOND)

    def count(self, key: Key) -> None:
        """Count a request; raises Problem (429) when it is one too many."""
        item = self._admin if key.is_admin else self._ordinary
        name = str(key.key_id)
        if item is not None and not self._limiter.hit(item, name):
            ends = self._limiter.get_window_stats(item, name).reset_time
            raise _too_many(
                f"This key may ask {item.amount} times a minute.", max(1, math.ceil(ends - time.time()))
            )

    def require_few_unknown(self) -> None:
        """Raise Problem (429) while too many keys are sent that nobody knows."""
        if not self._limiter.test(self._unknown, "unknown"):
            raise _too_many("Too many unknown keys are being sent; yours could not be looked up.", 1)

    def count_unknown(self) -> None:
        """Count a key that nobody knows."""
        self._limiter.hit(self._unknown, "unknown")


def _too_many(detail: str, seconds: int) -> Problem:
    return Problem(429, "too-many-requests", detail, headers={"Retry-After": str(seconds)})
