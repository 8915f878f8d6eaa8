"""Who may ask: clients that send the API key."""

import hmac

from flask import Flask, current_app, request

from dataflix_backend.errors import Problem
from dataflix_backend.operation import operation_of

HEADER = "X-API-Key"


def register(app: Flask, api_key: str) -> None:
    """Refuse every request that must carry ``api_key`` and does not."""
    expected = api_key.encode()

    @app.before_request
    def _require_key() -> None:
        if request.routing_exception is not None or _is_public():
            return
        sent = request.headers.get(HEADER)
        if sent is None:
            raise _refusal("missing-api-key", f"Send the API key in the header {HEADER}.")
        # The header arrives as Latin-1; comparing bytes takes any of its characters.
        if not hmac.compare_digest(sent.encode("latin-1", "replace"), expected):
            raise _refusal("wrong-api-key", f"The key in {HEADER} is wrong; it is DATAFLIX_API_KEY in .env.")


def _is_public() -> bool:
    endpoint = request.endpoint or ""
    described = operation_of(current_app.view_functions.get(endpoint))
    # What has no description is the documentation page and its assets.
    return described is None or described.public


def _refusal(kind: str, detail: str) -> Problem:
    return Problem(401, kind, detail, headers={"WWW-Authenticate": f'ApiKey header="{HEADER}"'})
