"""How gunicorn serves Superset: `gunicorn --config superset/gunicorn.conf.py 'superset.app:create_app()'`."""

import logging
import os
from typing import Any

_HOST = os.environ.get("DATAFLIX_SUPERSET_HOST", "127.0.0.1")
_PORT = os.environ.get("DATAFLIX_SUPERSET_PORT", "8088")

bind = f"{_HOST}:{_PORT}"

# One process, because each needs 300 MB. Its threads mostly wait for the warehouse.
workers = 1
worker_class = "gthread"
threads = 8

# The same as Superset's own limit for a query.
timeout = 60

# Nobody uses the control socket, which would be in the home folder.
control_socket_disable = True

# gunicorn logs these for requests that never reach the application, followed by the text of the request.
_QUOTING = ("Invalid request from", "Error handling request")


def _without_requests(record: logging.LogRecord) -> bool:
    prefix = next((text for text in _QUOTING if str(record.msg).startswith(text)), None)
    if prefix is not None:
        record.msg, record.args, record.exc_info = f"{prefix} a client", (), None
    return True


def on_starting(_server: Any) -> None:
    """Keep requests out of the log before the worker inherits it."""
    logging.getLogger("gunicorn.error").addFilter(_without_requests)
