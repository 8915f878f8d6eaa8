"""gunicorn's threaded worker: lets idle connections go while it ends, and refuses in our words."""

import logging
import uuid
from typing import Any

import orjson
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

from dataflix_backend.access_log import REQUEST_ID_HEADER
from dataflix_backend.errors import MEDIA_TYPE

# How late an expired idle connection may be noticed.
_LOOK_EVERY_S = 0.5

_log = logging.getLogger(__name__)


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Wakes up in time: the original sleeps through its whole graceful period if one idle client stays."""

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for events, but never long, so that expired connections are closed meanwhile."""
        super().wait_for_and_dispatch_events(min(timeout, _LOOK_EVERY_S))

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what never became a request, as a problem.

        The original answers HTML and logs the request line, which may hold what somebody searched for.
        """
        request_id = uuid.uuid4().hex
        if isinstance(exc, ParseException):
            status, phrase, detail = 400, "Bad Request", _detail(exc)
            _log.warning(
                "request not understood", extra={"reason": type(exc).__name__, "request_id": request_id}
            )
        else:
            status, phrase = 500, "Internal Server Error"
            detail = "Something went wrong on our side. Quote the request_id when you report it."
            _log.error("request failed", exc_info=exc, extra={"request_id": request_id})
        kind = "not-http" if status < 500 else "internal"  # noqa: PLR2004
        body = orjson.dumps(
            {
                "type": f"urn:dataflix:problem:{kind}",
                "title": phrase,
                "status": status,
                "detail": detail,
                "instance": "",
                "request_id": request_id,
            }
        )
        head = (
            f"HTTP/1.1 {status} {phrase}\r\nConnection: close\r\nContent-Type: {MEDIA_TYPE}\r\n"
            f"{REQUEST_ID_HEADER}: {request_id}\r\nX-Content-Type-Options: nosniff\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        try:
            write_nonblock(client, head.encode() + body)
        except OSError:
            # Whoever sent it has gone already.
            _log.debug("refusal not sent", extra={"request_id": request_id})


def _detail(error: ParseException) -> str:
    if isinstance(error, LimitRequestLine):
        return "The request line is too long: an address and its parameters may take 4094 bytes."
    if isinstance(error, LimitRequestHeaders):
        return "There are too many headers, or one is too long."
    return "This is not a request that HTTP/1.1 knows."
