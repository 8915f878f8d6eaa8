"""Authentication and authorization: API keys, scopes, users, rate limits, and the audit log."""

import logging
from typing import Any

from flask import Flask, current_app, g, request

from dataflix_backend.api_key import ApiKey
from dataflix_backend.database import Database
from dataflix_backend.exceptions import ForbiddenError, UnauthenticatedError
from dataflix_backend.queries.api_keys import insert_audit_entry
from dataflix_backend.services.access.api_key_cache import ApiKeyCache
from dataflix_backend.services.access.rate_limiter import RateLimiter
from dataflix_backend.web import source_ids
from dataflix_backend.web.access_log import route_template
from dataflix_backend.web.errors import API_KEY_HEADER
from dataflix_backend.web.operation import Operation, operation_of, require_acts_for

# A route with this path segment belongs to one user.
_OWNER = "user_id"
# The column's check constraint.
_MAX_TARGET = 200

_log = logging.getLogger(__name__)


def register(app: Flask, keys: ApiKeyCache, limiter: RateLimiter, database: Database) -> None:
    """Refuse every request to a described route whose key is missing, wrong, or does not allow it."""

    @app.before_request
    def _authorise() -> None:
        described = _described()
        if request.routing_exception is not None or described is None or described.public:
            return
        key = _key(keys)
        g.key = key
        limiter.count(key)
        if not key.allows(described.scope):
            scopes = " and ".join(sorted(key.scopes))
            raise ForbiddenError(f"This needs a key with the scope {described.scope}; yours has {scopes}.")
        segments: dict[str, Any] = request.view_args or {}
        if _OWNER in segments:
            require_acts_for(key, [source_ids.path_number(_OWNER)])
        if described.scope == "admin" and request.method not in ("GET", "HEAD"):
            _record_admin_action(database, key)


def _described() -> Operation | None:
    # The documentation page and its assets have no description and need no key.
    return operation_of(current_app.view_functions.get(request.endpoint or ""))


def _key(keys: ApiKeyCache) -> ApiKey:
    sent = request.headers.get(API_KEY_HEADER)
    if sent is None:
        raise UnauthenticatedError(f"Send the API key in the header {API_KEY_HEADER}.")
    key = keys.find(sent)
    if key is None:
        raise UnauthenticatedError(
            f"The key in {API_KEY_HEADER} is wrong, has expired or was revoked; the first one is in .env.",
            kind="wrong-api-key",
        )
    return key


def _record_admin_action(database: Database, key: ApiKey) -> None:
    """Write the request to the audit log, before it is carried out. Without an entry nothing is done.

    The access log says how it ended, under the same request id.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    ids = {name: source_ids.path_number(name) for name in request.view_args or {}}
    # Our numbers only: other text in a path may be personal.
    target = " ".join(f"{name}={number}" for name, number in ids.items() if number is not None)
    entry = {
        "key_id": key.key_id,
        "action": f"{request.method} {route_template()}",
        "target": target[:_MAX_TARGET],
        "request_id": g.request_id,
    }
    insert_audit_entry(database, entry)
    _log.info("admin action", extra=entry)
