"""The gunicorn worker of the API: refusals in the form of our error answers, with a request id."""

import logging
import uuid
from http import HTTPStatus
from typing import Any

import orjson

from dataflix_backend.web.errors import INTERNAL_DETAIL, problem_body
from dataflix_common.buffered_connection import BodyTooLargeError, RequestTimeoutError
from dataflix_common.buffering_worker import BufferingWorker, refusal, refusal_head

_log = logging.getLogger(__name__)

_KINDS = {RequestTimeoutError: "too-slow", BodyTooLargeError: "body-too-large"}


class Worker(BufferingWorker):
    """Answers as the application does where a request does not reach it."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that is no request, is too slow, or failed outside of the application."""
        request_id = uuid.uuid4().hex
        status, detail = refusal(exc)
        if status is HTTPStatus.INTERNAL_SERVER_ERROR:
            kind, detail = "internal", INTERNAL_DETAIL
            _log.error("request failed", exc_info=exc, extra={"request_id": request_id})
        else:
            kind = _KINDS.get(type(exc), "not-http")
            _log.warning(
                "request not understood", extra={"reason": type(exc).__name__, "request_id": request_id}
            )
        body = orjson.dumps(problem_body(status, kind, detail, request_id, instance=""))
        client.sendall(refusal_head(status, len(body), X_Request_ID=request_id) + body)
