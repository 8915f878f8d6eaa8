"""gunicorn's threaded worker, with a quick shutdown and our error answers."""

import logging
import uuid
from http import HTTPStatus
from typing import Any

import orjson
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

from dataflix_backend.web.access_log import REQUEST_ID_HEADER
from dataflix_backend.web.errors import INTERNAL, INTERNAL_DETAIL, NOT_HTTP, problem_body
from dataflix_common.problem import MEDIA_TYPE

# How late an expired idle connection may be noticed.
_LOOK_EVERY_S = 0.5

_log = logging.getLogger(__name__)


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Closes idle connections in time: gunicorn's worker sleeps for its whole graceful period instead."""

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for events, never long, so that expired connections are closed in between."""
        super().wait_for_and_dispatch_events(min(timeout, _LOOK_EVERY_S))

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that cannot be parsed with a problem.

        gunicorn would answer HTML and log the request line, which may hold personal values.
        """
        request_id = uuid.uuid4().hex
        status: HTTPStatus = NOT_HTTP if isinstance(exc, ParseException) else INTERNAL
        if isinstance(exc, ParseException):
            kind, detail = "not-http", _detail(exc)
            _log.warning(
                "request not understood", extra={"reason": type(exc).__name__, "request_id": request_id}
            )
        else:
            kind, detail = "internal", INTERNAL_DETAIL
            _log.error("request failed", exc_info=exc, extra={"request_id": request_id})
        body = orjson.dumps(problem_body(status, kind, detail, request_id, instance=""))
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nContent-Type: {MEDIA_TYPE}\r\n"
            f"{REQUEST_ID_HEADER}: {request_id}\r\nX-Content-Type-Options: nosniff\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        try:
            write_nonblock(client, head.encode() + body)
        except OSError:
            # The client has closed the connection.
            _log.debug("refusal not sent", extra={"request_id": request_id})


def _detail(error: ParseException) -> str:
    if isinstance(error, LimitRequestLine):
        return "The request line is too long: an address and its parameters may take 4094 bytes."
    if isinstance(error, LimitRequestHeaders):
        return "There are too many headers, or one is too long."
    return "This is not a valid HTTP/1.1 request."
