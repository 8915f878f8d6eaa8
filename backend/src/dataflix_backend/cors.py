"""Which pages of other sites may ask this API from a browser: none, unless a setting names their origins."""

from flask import Flask, Response, request

from dataflix_backend.access_log import REQUEST_ID_HEADER
from dataflix_backend.auth import HEADER

_METHODS = "GET, POST, DELETE"
_HEADERS = f"Content-Type, {HEADER}, {REQUEST_ID_HEADER}"
# Browsers ask again after this time; most of them cap it at two hours.
_MAX_AGE_S = 600


def register(app: Flask, origins: tuple[str, ...]) -> None:
    """Answer preflights of ``origins`` and open answers to them; without any, nothing is opened."""
    if not origins:
        return
    allowed = frozenset(origins)

    @app.before_request
    def _preflight() -> Response | None:
        asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if not asks or request.headers.get("Origin") not in allowed:
            return None
        response = Response(status=204)
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
