"""Every error answer, as application/problem+json (RFC 9457)."""

import logging
from http import HTTPStatus
from typing import Any

import orjson
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from dataflix_backend import exceptions
from dataflix_backend.exceptions import BackendError
from dataflix_backend.web.encoded_slashes import path_as_sent
from dataflix_backend.web.source_ids import detail_of, said
from dataflix_common.problem import MEDIA_TYPE, problem_details

API_KEY_HEADER = "X-API-Key"
# A client that waits this long finds a restarted Postgres: a restart takes about a second.
RETRY_AFTER_S = 2

INTERNAL = HTTPStatus.INTERNAL_SERVER_ERROR
BODY_TOO_LARGE = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
INTERNAL_DETAIL = "Something went wrong on our side. Quote the request_id when you report it."

_STATUSES: dict[type[BackendError], HTTPStatus] = {
    exceptions.InvalidInputError: HTTPStatus.UNPROCESSABLE_ENTITY,
    exceptions.InvalidParameterError: HTTPStatus.BAD_REQUEST,
    exceptions.NotJsonError: HTTPStatus.BAD_REQUEST,
    exceptions.UnsupportedMediaTypeError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    exceptions.UnauthenticatedError: HTTPStatus.UNAUTHORIZED,
    exceptions.ForbiddenError: HTTPStatus.FORBIDDEN,
    exceptions.NotFoundError: HTTPStatus.NOT_FOUND,
    exceptions.ConflictError: HTTPStatus.CONFLICT,
    exceptions.RateLimitedError: HTTPStatus.TOO_MANY_REQUESTS,
    exceptions.UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
}

_log = logging.getLogger(__name__)


def status_of(error: type[BackendError]) -> HTTPStatus:
    """Return the status that an error is answered with; subclasses share that of their base."""
    return next((_STATUSES[kind] for kind in error.__mro__ if kind in _STATUSES), INTERNAL)


def problem_body(status: int, kind: str, detail: str, request_id: str, **members: Any) -> dict[str, Any]:
    """Return the body of an error answer."""
    urn = f"urn:dataflix:problem:{kind}"
    return problem_details(status, detail, kind=urn, **members, request_id=request_id)


def register(app: Flask) -> None:
    """Answer every error of ``app`` as a problem; unexpected ones are logged and answered without details."""

    @app.errorhandler(BackendError)
    def _backend_error(error: BackendError) -> Response:
        wrong = [entry | {"message": said(entry["message"])} for entry in error.errors]
        errors_member = {"errors": wrong if error.has_our_words else error.errors}
        members = {**error.members, **(errors_member if error.errors else {})}
        response = _problem(status_of(type(error)), error.kind, detail_of(error), **members)
        if isinstance(error, exceptions.UnavailableError):
            response.headers["Retry-After"] = str(RETRY_AFTER_S)
        elif isinstance(error, exceptions.RateLimitedError):
            response.headers["Retry-After"] = str(error.retry_after_s)
        elif isinstance(error, exceptions.UnauthenticatedError):
            response.headers["WWW-Authenticate"] = f'ApiKey header="{API_KEY_HEADER}"'
        return response

    @app.errorhandler(HTTPException)
    def _http_error(error: HTTPException) -> Response:
        return _http_problem(error)

    @app.errorhandler(Exception)
    def _unexpected(error: Exception) -> Response:
        _log.error("request failed", exc_info=error, extra={"request_id": g.get("request_id", "")})
        return _problem(INTERNAL, "internal", INTERNAL_DETAIL)


def _problem(status: int, kind: str, detail: str, **members: Any) -> Response:
    request_id = g.get("request_id", "")
    body = problem_body(status, kind, detail, request_id, instance=path_as_sent(), **members)
    return Response(orjson.dumps(body), status, content_type=MEDIA_TYPE)


def _http_problem(error: HTTPException) -> Response:
    status = HTTPStatus(error.code or INTERNAL)
    path = path_as_sent()
    if status == HTTPStatus.NOT_FOUND:
        return _problem(status, "no-such-route", f"There is no route {path}. GET /docs lists all routes.")
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(sorted(getattr(error, "valid_methods", None) or []))
        detail = f"{request.method} is not allowed at {path}; allowed: {allowed}."
        response = _problem(status, "method-not-allowed", detail)
        response.headers["Allow"] = allowed
        return response
    if status == BODY_TOO_LARGE:
        detail = f"The body is larger than {request.max_content_length} bytes, the most that this API reads."
        return _problem(status, "body-too-large", detail)
    return _problem(status, "http", error.description or status.phrase)
