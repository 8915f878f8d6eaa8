"""Counts log-ins that have not succeeded, so that passwords cannot be tried without end.

An attempt counts from its begin and is taken back when it succeeds, so many at the same time are limited like
many in turn. The libraries for this, limits with slowapi or Flask-Limiter, count requests and can't give one
back: with them, either people who sign in with the right password use up the limit, too, or an attempt counts
only after its answer, and all that come meanwhile are tried.
"""

import ipaddress
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

WINDOW_S = 60.0
# A person mistypes a few times. At this rate, trying a millionth of all passwords of 16 letters takes ages.
MAX_FOR_CLIENT = 10
# Somebody may have many addresses. This also bounds what has to be remembered.
MAX_FOR_ALL = 60


class TooManyAttemptsError(Exception):
    """A client, or all together, have failed too often.

    Attributes:
        wait_s: after how many seconds the next attempt is allowed.
    """

    def __init__(self, wait_s: int) -> None:
        super().__init__(f"Too many failed log-ins; try again in {wait_s} s.")
        self.wait_s = wait_s


# By identity: two attempts may begin in the same moment.
@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """A log-in that has not succeeded yet; when it began, by the clock, and who tries."""

    began: float
    client: str


class LoginAttempts:
    """The attempts of the last minute that have not succeeded. All threads of one process may share it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Remember nothing yet.

        Args:
            clock: returns seconds.
        """
        self._clock = clock
        self._failed: deque[Attempt] = deque()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many attempts are remembered."""
        return len(self._failed)

    def begin(self, client: str) -> Attempt:
        """Count an attempt, before its password is compared.

        Raises:
            TooManyAttemptsError: it must not be tried.
        """
        with self._lock:
            now = self._clock()
            while self._failed and now - self._failed[0].began >= WINDOW_S:
                self._failed.popleft()
            own = [one for one in self._failed if one.client == client]
            if len(own) >= MAX_FOR_CLIENT or len(self._failed) >= MAX_FOR_ALL:
                first = own[0] if len(own) >= MAX_FOR_CLIENT else self._failed[0]
                raise TooManyAttemptsError(int(WINDOW_S - (now - first.began)) + 1)
            attempt = Attempt(now, client)
            self._failed.append(attempt)
            return attempt

    def succeed(self, attempt: Attempt) -> None:
        """Take an attempt back: its password was right, or none was compared."""
        with self._lock:
            if attempt in self._failed:
                self._failed.remove(attempt)


def client_of(address: str | None) -> str:
    """Return what counts as one client: the own machine, an IPv4 address, or a network of IPv6."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    # A program of this machine may use any address of 127.0.0.0/8.
    if parsed.is_loopback:
        return "loopback"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    # A subscriber usually has all addresses of a /64.
    return str(ipaddress.ip_network((parsed, 64), strict=False))
