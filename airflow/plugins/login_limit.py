"""Limits how often a password of Airflow can be tried; Airflow's simple auth manager has no limit of its own.

Airflow loads this file from its plugins folder.
"""

import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from dataflix_common.login_attempts import LoginAttempts, TooManyAttemptsError, client_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Everything that takes a password is below this path: /auth/token and /auth/token/cli.
_LOG_IN = "/auth/"


class LoginLimit:
    """ASGI middleware that answers 429 once too many log-ins of a minute have not succeeded.

    Airflow's API server runs one process, which has all counts.

    Args:
        app: the application behind it.
        clock: returns seconds.
    """

    def __init__(self, app: App, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self.attempts = LoginAttempts(clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        is_log_in = (
            scope["type"] == "http" and scope["method"] == "POST" and scope["path"].startswith(_LOG_IN)
        )
        if not is_log_in:
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        try:
            attempt = self.attempts.begin(client_of(client[0] if client else None))
        except TooManyAttemptsError as error:
            await _refuse(send, error)
            return

        async def take_back_success(message: Message) -> None:
            # A redirect has tested no password.
            if message["type"] == "http.response.start" and message["status"] < HTTPStatus.BAD_REQUEST:
                self.attempts.succeed(attempt)
            await send(message)

        await self._app(scope, receive, take_back_success)


async def _refuse(send: Send, error: TooManyAttemptsError) -> None:
    body = json.dumps({"detail": str(error)}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", str(error.wait_s).encode()),
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
