"""The ASGI application: routes, health checks, and the life of one query request."""

import asyncio
import logging
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

from dataflix_clickhouse.access.accounts import Authenticator
from dataflix_clickhouse.engine.chdb_engine import Engine
from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import ClientGoneError, QueryError, query_error
from dataflix_clickhouse.http import multipart_form
from dataflix_clickhouse.http.body import Body, Receive, read_up_to
from dataflix_clickhouse.http.query_handler import QueryHandler
from dataflix_clickhouse.http.request import Request
from dataflix_clickhouse.http.response import Responder, Send

log = logging.getLogger(__name__)

# A health check waits so long for its statement; the stack waits 3 s for the answer.
HEALTH_WAIT_S = 1.0
# Without an answer for so long, the engine is stuck; before that it is slow, as on a machine with busy cores.
STUCK_AFTER_S = 20.0
_HEALTH = ("/ping", "/replicas_status")
_METHODS = ("GET", "HEAD", "POST")
_NO_HANDLE = (
    "There is no handle {path}\n\nUse /ping for health checks, and POST / or GET /?query=... for queries.\n"
)


class Application:
    """ClickHouse's HTTP interface in front of one engine."""

    def __init__(self, engine: Engine, authenticator: Authenticator, data_dir: Path) -> None:
        """Serve an engine, and keep large results in a folder below its data folder."""
        self._authenticator = authenticator
        self._tasks: set[asyncio.Task[None]] = set()
        self._handler = QueryHandler(engine)
        self._health: asyncio.Task[None] | None = None
        self._health_began = 0.0
        self._spool_dir = data_dir / "tmp"
        name, timezone = engine.run_as_admin("SELECT hostName(), timezone()").data.split()
        self._common_headers = [
            (b"x-clickhouse-server-display-name", name),
            (b"x-clickhouse-timezone", timezone),
        ]

    def close(self) -> None:
        """Wait for running statements and close all sessions, so that the engine can be closed."""
        self._handler.close()

    def cancel_all(self) -> None:
        """Cancel all running requests; each gets a QUERY_WAS_CANCELLED error."""
        for task in self._tasks:
            task.cancel()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Handle one request."""
        responder = Responder(send, self._common_headers, self._spool_dir)
        path, method = scope["path"], scope["method"]
        is_root_check = path == "/" and method in ("GET", "HEAD") and not scope["query_string"]
        if method not in _METHODS:
            await responder.send_text(HTTPStatus.METHOD_NOT_ALLOWED, f"Use {', '.join(_METHODS)}.\n")
        elif path in _HEALTH or is_root_check:
            await self._send_health(responder)
        elif path not in ("/", "/query"):
            await responder.send_text(HTTPStatus.NOT_FOUND, _NO_HANDLE.format(path=path))
        else:
            task = asyncio.create_task(self._query(scope, receive, responder))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await task

    async def _send_health(self, responder: Responder) -> None:
        """Answer with whether the engine runs statements.

        Anybody may ask, so all who ask share one statement, also one that an earlier check gave up on.
        """
        if self._health is None or self._health.done():
            self._health = asyncio.create_task(self._handler.check_health())
            self._health_began = time.monotonic()
        problem = ""
        try:
            await asyncio.wait_for(asyncio.shield(self._health), HEALTH_WAIT_S)
        except TimeoutError:
            waited = time.monotonic() - self._health_began
            if waited >= STUCK_AFTER_S:
                problem = f"no answer for {waited:.0f} s"
        except QueryError as error:
            problem = f"error {error.code}"
        if problem:
            log.warning("health check failed problem=%r", problem)
            text = "The engine does not run statements. See the log of this server.\n"
            await responder.send_text(HTTPStatus.SERVICE_UNAVAILABLE, text)
        else:
            await responder.send_text(HTTPStatus.OK, "Ok.\n")

    async def _query(self, scope: dict[str, Any], receive: Receive, responder: Responder) -> None:
        started = time.monotonic()
        user, query_id, result = "", "", "ok"
        try:
            request = Request.from_scope(scope)
            query_id = request.query_id
            account = self._authenticator.authenticate(request.credentials)
            user = account.name
            body = Body(receive, request.headers.get("content-encoding", ""))
            content_type = request.headers.get("content-type", "")
            if multipart_form.is_form(content_type):
                form = multipart_form.parse_fields(
                    content_type, await read_up_to(body.decompressed(), multipart_form.MAX_FORM_BYTES)
                )
                request = Request.from_scope(scope, form, query_id)
            request.check_supported(account)
            result = await self._handler.handle(request, account, body, responder)
        except QueryError as error:
            result = f"error_{error.code}"
            await responder.send_error(error, query_id)
        except ClientGoneError:
            result = "client_gone"
        except asyncio.CancelledError:
            result = "cancelled"
            await responder.send_error(
                query_error(ErrorCode.QUERY_WAS_CANCELLED, "Query was cancelled."), query_id
            )
        finally:
            elapsed_ms = int((time.monotonic() - started) * 1000)
            log.info("query user=%s query_id=%r result=%s elapsed_ms=%d", user, query_id, result, elapsed_ms)
