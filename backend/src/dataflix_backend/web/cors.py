"""Cross-origin requests from browsers: refused, unless a setting names the origin."""

from http import HTTPStatus

from flask import Flask, Response, request

from dataflix_backend.web.access_log import REQUEST_ID_HEADER
from dataflix_backend.web.errors import API_KEY_HEADER

_METHODS = "GET, POST, DELETE"
_HEADERS = f"Content-Type, {API_KEY_HEADER}, {REQUEST_ID_HEADER}"
# Browsers repeat the preflight after this time; most of them cap it at two hours.
_MAX_AGE_S = 600


def register(app: Flask, origins: tuple[str, ...]) -> None:
    """Answer preflight requests of ``origins`` and let them read answers. Without origins nothing changes."""
    if not origins:
        return
    allowed = frozenset(origins)

    @app.before_request
    def _preflight() -> Response | None:
        is_preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if not is_preflight or request.headers.get("Origin") not in allowed:
            return None
        response = Response(status=HTTPStatus.NO_CONTENT)
        response.headers["Access-Control-Allow-Methods"] = _METHODS
        response.headers["Access-Control-Allow-Headers"] = _HEADERS
        response.headers["Access-Control-Max-Age"] = str(_MAX_AGE_S)
        return response

    @app.after_request
    def _open(response: Response) -> Response:
        response.vary.add("Origin")
        origin = request.headers.get("Origin")
        if origin in allowed:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = f"{REQUEST_ID_HEADER}, Retry-After"
        return response
