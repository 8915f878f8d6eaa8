"""Every error answer, as application/problem+json (RFC 9457)."""

import http
import logging
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import orjson
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"

# What a client may wait before it asks again: Postgres here restarts in about a second.
RETRY_AFTER_S = 2

_log = logging.getLogger(__name__)


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it so
    """An answer that says what was wrong, with which input, and what to do.

    ``kind`` becomes the last part of the ``type`` URN; ``errors`` are ``{"field", "message"}`` entries.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


class NotFoundProblem(Problem):
    """404 that names the thing and its id."""

    def __init__(self, thing: str, identifier: object, advice: str = "") -> None:
        detail = f"There is no {thing} with the id {identifier}." + (f" {advice}" if advice else "")
        super().__init__(404, f"unknown-{thing}", detail)


class UnavailableProblem(Problem):
    """503 with Retry-After: a service we need is away; nothing was written."""

    def __init__(self, detail: str, extra: Mapping[str, Any] | None = None) -> None:
        super().__init__(503, "unavailable", detail, headers={"Retry-After": str(RETRY_AFTER_S)}, extra=extra)


def another_user() -> Problem:
    """Return the refusal of a key that does not act for the user of a route."""
    return Problem(403, "another-user", "This key is not bound to that user, and it is no administrator's.")


def problem_response(problem: Problem) -> Response:
    """Render ``problem`` for the present request."""
    body: dict[str, Any] = {
        "type": f"urn:dataflix:problem:{problem.kind}",
        "title": http.HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "instance": quote(request.path),
        "request_id": g.get("request_id", ""),
        **problem.extra,
    }
    if problem.errors:
        body["errors"] = problem.errors
    response = Response(orjson.dumps(body), problem.status, content_type=MEDIA_TYPE)
    response.headers.update(problem.headers)
    return response


def _http_problem(error: HTTPException) -> Problem:
    status = error.code or 500
    if status == http.HTTPStatus.NOT_FOUND:
        return Problem(
            404, "no-such-route", f"Nothing lives at {quote(request.path)}. GET /docs lists every route."
        )
    if status == http.HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(sorted(getattr(error, "valid_methods", None) or []))
        detail = f"{request.method} is not allowed at {quote(request.path)}; allowed: {allowed}."
        return Problem(405, "method-not-allowed", detail, headers={"Allow": allowed})
    if status == http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        limit = request.max_content_length
        return Problem(413, "body-too-large", f"The body is larger than the {limit} bytes this API takes.")
    return Problem(status, "http", error.description or http.HTTPStatus(status).phrase)


def register(app: Flask) -> None:
    """Answer every error of ``app`` as a problem; what nobody foresaw is logged and told without details."""

    @app.errorhandler(Problem)
    def _problem(error: Problem) -> Response:
        return problem_response(error)

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException) -> Response:
        return problem_response(_http_problem(error))

    @app.errorhandler(Exception)
    def _unforeseen(error: Exception) -> Response:
        _log.error("request failed", exc_info=error, extra={"request_id": g.get("request_id", "")})
        detail = "Something went wrong on our side. Quote the request_id when you report it."
        return problem_response(Problem(500, "internal", detail))
