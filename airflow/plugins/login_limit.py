"""Limits how often a password of Airflow can be tried; Airflow's simple auth manager has no limit of its own.

Airflow loads this file from its plugins folder. The libraries for this, slowapi and limits, count requests
and can't give one back: with them, people who sign in with the right password would use up the limit, too.
"""

import ipaddress
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

WINDOW_S = 60.0
# A person mistypes a few times. At this rate, trying a millionth of all passwords of 16 letters takes ages.
MAX_FOR_CLIENT = 10
# Somebody may have many addresses. This also bounds what has to be remembered.
MAX_FOR_ALL = 60

# Everything that takes a password is below this path: /auth/token and /auth/token/cli.
_LOG_IN = "/auth/"


class LoginLimit:
    """ASGI middleware that answers 429 once too many log-ins of a minute have not succeeded.

    A log-in counts from its arrival and is taken back when it succeeds, so many at the same time are limited
    like many in turn. Airflow's API server runs one process, which has all counts.

    Args:
        app: the application behind it.
        clock: returns seconds.
    """

    def __init__(self, app: App, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        # Arrival and client of each log-in that has not succeeded.
        self._tried: deque[tuple[float, str]] = deque()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        is_log_in = (
            scope["type"] == "http" and scope["method"] == "POST" and scope["path"].startswith(_LOG_IN)
        )
        if not is_log_in:
            await self._app(scope, receive, send)
            return
        now, client = self._clock(), _network(scope.get("client"))
        while self._tried and now - self._tried[0][0] >= WINDOW_S:
            self._tried.popleft()
        arrivals = [arrived for arrived, tried_by in self._tried if tried_by == client]
        if len(arrivals) >= MAX_FOR_CLIENT or len(self._tried) >= MAX_FOR_ALL:
            first = arrivals[0] if len(arrivals) >= MAX_FOR_CLIENT else self._tried[0][0]
            await _refuse(send, int(WINDOW_S - (now - first)) + 1)
            return
        attempt = (now, client)
        self._tried.append(attempt)

        async def take_back_success(message: Message) -> None:
            # A redirect has tested no password.
            succeeded = (
                message["type"] == "http.response.start" and message["status"] < HTTPStatus.BAD_REQUEST
            )
            if succeeded and attempt in self._tried:
                self._tried.remove(attempt)
            await send(message)

        await self._app(scope, receive, take_back_success)


def _network(client: tuple[str, int] | None) -> str:
    """Return what counts as one client: the own machine, an IPv4 address, or a network of IPv6."""
    try:
        address = ipaddress.ip_address(client[0] if client else "")
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    # A program of this machine may use any address of 127.0.0.0/8.
    if address.is_loopback:
        return "loopback"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    # A subscriber usually has all addresses of a /64.
    return str(ipaddress.ip_network((address, 64), strict=False))


async def _refuse(send: Send, wait_s: int) -> None:
    body = json.dumps({"detail": f"Too many failed log-ins; try again in {wait_s} s."}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", str(wait_s).encode()),
        # The request's body has not been read.
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": HTTPStatus.TOO_MANY_REQUESTS, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class LoginLimitPlugin(AirflowPlugin):
    """Puts the limit before Airflow's API server."""

    name = "login_limit"
    fastapi_root_middlewares: ClassVar[list[dict[str, Any]]] = [
        {"name": "login_limit", "middleware": LoginLimit, "args": [], "kwargs": {}}
    ]
