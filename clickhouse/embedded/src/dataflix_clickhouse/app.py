"""The ASGI application: ClickHouse's HTTP interface."""

import asyncio
import logging
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

from dataflix_clickhouse import forms
from dataflix_clickhouse.bodies import Body, Receive, read_up_to
from dataflix_clickhouse.engine import Engine
from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import ClientGoneError, QueryError, refused
from dataflix_clickhouse.handler import Handler
from dataflix_clickhouse.requests import Request
from dataflix_clickhouse.responses import Responder, Send
from dataflix_clickhouse.users import Authenticator

log = logging.getLogger(__name__)

_HEALTH = ("/ping", "/replicas_status")
_METHODS = ("GET", "HEAD", "POST")
_NO_HANDLE = (
    "There is no handle {path}\n\nUse /ping for health checks, and POST / or GET /?query=... for queries.\n"
)


class Application:
    """Answers requests with one engine."""

    def __init__(self, engine: Engine, authenticator: Authenticator, data_dir: Path) -> None:
        """Answer from this engine, which works on this folder."""
        self._authenticator = authenticator
        self._tasks: set[asyncio.Task[None]] = set()
        self._handler = Handler(engine)
        self._spool_dir = data_dir / "tmp"
        name, timezone = engine.admin("SELECT hostName(), timezone()").data.split()
        self._common = [(b"x-clickhouse-server-display-name", name), (b"x-clickhouse-timezone", timezone)]

    def close(self) -> None:
        """End what is left of the requests, so that the engine can be closed."""
        self._handler.close()

    def cancel_all(self) -> None:
        """Cancel every request that is at work; each is answered with the engine's code for that."""
        for task in self._tasks:
            task.cancel()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        responder = Responder(send, self._common, self._spool_dir)
        path, method = scope["path"], scope["method"]
        is_greeting = path == "/" and method in ("GET", "HEAD") and not scope["query_string"]
        if method not in _METHODS:
            await responder.text(HTTPStatus.METHOD_NOT_ALLOWED, f"Use {', '.join(_METHODS)}.\n")
        elif path in _HEALTH or is_greeting:
            await responder.text(HTTPStatus.OK, "Ok.\n")
        elif path not in ("/", "/query"):
            await responder.text(HTTPStatus.NOT_FOUND, _NO_HANDLE.format(path=path))
        else:
            task = asyncio.create_task(self._query(scope, receive, responder))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await task

    async def _query(self, scope: dict[str, Any], receive: Receive, responder: Responder) -> None:
        started = time.monotonic()
        user, query_id, result = "", "", "ok"
        try:
            request = Request.of(scope)
            query_id = request.query_id
            account = self._authenticator.check(request.credentials)
            user = account.name
            body = Body(receive, request.headers.get("content-encoding", ""))
            content_type = request.headers.get("content-type", "")
            if forms.is_form(content_type):
                form = forms.fields(content_type, await read_up_to(body.plain(), forms.MAX_FORM_BYTES))
                request = Request.of(scope, form, query_id)
            request.check_supported(account)
            result = await self._handler.handle(request, account, body, responder)
        except QueryError as error:
            result = f"error_{error.code}"
            await responder.error(error, query_id)
        except ClientGoneError:
            result = "client_gone"
        except asyncio.CancelledError:
            result = "cancelled"
            await responder.error(refused(ErrorCode.QUERY_WAS_CANCELLED, "Query was cancelled."), query_id)
        finally:
            elapsed_ms = int((time.monotonic() - started) * 1000)
            log.info("query user=%s query_id=%r result=%s elapsed_ms=%d", user, query_id, result, elapsed_ms)
