"""The record of what administrators do: a row in Postgres before each action, and a line in the log."""

import logging

from flask import g, request

from dataflix_backend.access.keys import Key
from dataflix_backend.access_log import route_template
from dataflix_backend.database import Database
from dataflix_backend.queries.keys import write_audit
from dataflix_backend.schemas.fields import whole_number

_log = logging.getLogger(__name__)


def record(database: Database, key: Key) -> None:
    """Put the present request on record; without a record nothing is done.

    How it ended is in the access log under the same request id. Raises UnavailableProblem.
    """
    ids = {name: whole_number(str(text)) for name, text in (request.view_args or {}).items()}
    entry = {
        "key_id": key.key_id,
        "action": f"{request.method} {route_template()}",
        # Only numbers: whatever else stands in a path may be anything.
        "target": " ".join(f"{name}={number}" for name, number in ids.items() if number is not None)[:200],
        "request_id": g.request_id,
    }
    write_audit(database, entry)
    _log.info("admin action", extra=entry)
