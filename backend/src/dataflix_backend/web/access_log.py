"""A request id on every answer, and one log line for each request, without personal values."""

import logging
import re
import time
import uuid

from flask import Flask, Response, g, request

REQUEST_ID_HEADER = "X-Request-ID"
# A client's own id is kept if it is a UUID, with or without hyphens, as tracing systems make them. Any freer
# form could carry a name into log and audit table, where an erasure does not find it.
_ACCEPTED_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
# A method can be any word, a name too, so only these are logged.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_log = logging.getLogger("dataflix_backend.access")


def register(app: Flask) -> None:
    """Give each request of ``app`` an id and log it. Register this first, so that refusals are logged too."""

    @app.before_request
    def _begin() -> None:
        sent = request.headers.get(REQUEST_ID_HEADER, "")
        g.request_id = sent if _ACCEPTED_ID.fullmatch(sent) else uuid.uuid4().hex
        g.started = time.perf_counter()

    @app.after_request
    def _end(response: Response) -> Response:
        response.headers[REQUEST_ID_HEADER] = g.request_id
        _log.info(
            "request",
            extra={
                "request_id": g.request_id,
                "key_id": key.key_id if (key := g.get("key")) else None,
                "method": request.method if request.method in _METHODS else "-",
                "route": route_template(),
                "status": response.status_code,
                "duration_ms": round((time.perf_counter() - g.started) * 1000, 2),
                "bytes": response.content_length,
            },
        )
        return response


def route_template() -> str:
    """Return the route of the current request with placeholders instead of values; '-' for no route."""
    return request.url_rule.rule if request.url_rule else "-"
