"""Who may ask: clients that send a key with the scope of the route, as often as the key may."""

from typing import Any

from flask import Flask, current_app, g, request

from dataflix_backend.access import audit
from dataflix_backend.access.keys import Key
from dataflix_backend.access.rates import Rates
from dataflix_backend.access.ring import KeyRing
from dataflix_backend.database import Database
from dataflix_backend.errors import Problem, another_user
from dataflix_backend.operation import Operation, operation_of
from dataflix_backend.schemas.fields import whole_number

HEADER = "X-API-Key"

# The path segment that makes a route one user's.
_OWNER = "user_id"


def register(app: Flask, ring: KeyRing, rates: Rates, database: Database) -> None:
    """Refuse every request to a described route whose key is missing, wrong, or does not open it."""

    @app.before_request
    def _authorise() -> None:
        described = _described()
        if request.routing_exception is not None or described is None or described.public:
            return
        key = _key(ring)
        g.key = key
        rates.count(key)
        if not key.allows(described.scope):
            detail = f"This needs a key with the scope {described.scope}; yours has {_listed(key)}."
            raise Problem(403, "insufficient-scope", detail)
        segments: dict[str, Any] = request.view_args or {}
        if _OWNER in segments and not key.acts_for(whole_number(segments[_OWNER])):
            raise another_user()
        if described.scope == "admin" and request.method not in ("GET", "HEAD"):
            audit.record(database, key)


def _described() -> Operation | None:
    # What has no description is the documentation page and its assets.
    return operation_of(current_app.view_functions.get(request.endpoint or ""))


def _key(ring: KeyRing) -> Key:
    sent = request.headers.get(HEADER)
    if sent is None:
        raise _refusal("missing-api-key", f"Send the API key in the header {HEADER}.")
    key = ring.find(sent)
    if key is None:
        detail = f"The key in {HEADER} is wrong, has expired or was revoked; the first one is in .env."
        raise _refusal("wrong-api-key", detail)
    return key


def _listed(key: Key) -> str:
    return " and ".join(sorted(key.scopes))


def _refusal(kind: str, detail: str) -> Problem:
    return Problem(401, kind, detail, headers={"WWW-Authenticate": f'ApiKey header="{HEADER}"'})
