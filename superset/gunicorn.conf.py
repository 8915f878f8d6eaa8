"""How gunicorn serves Superset: `gunicorn --config superset/gunicorn.conf.py 'superset.app:create_app()'`."""

import logging
import os
from typing import Any

_HOST = os.environ.get("DATAFLIX_SUPERSET_HOST", "127.0.0.1")
_PORT = os.environ.get("DATAFLIX_SUPERSET_PORT", "8088")

bind = f"{_HOST}:{_PORT}"

# One process, since each costs 300 MB; its threads wait for the warehouse side by side, which is most of the
# work of a dashboard.
workers = 1
worker_class = "gthread"
threads = 8

# As long as Superset itself waits for a query.
timeout = 60

# A control socket in the home folder has no use here.
control_socket_disable = True

# What gunicorn says of requests that never reach the application, with the request's own text behind it.
_QUOTING = ("Invalid request from", "Error handling request")


def _without_requests(record: logging.LogRecord) -> bool:
    beginning = next((text for text in _QUOTING if str(record.msg).startswith(text)), None)
    if beginning is not None:
        record.msg, record.args, record.exc_info = f"{beginning} a client", (), None
    return True


def on_starting(_server: Any) -> None:
    """Keep requests out of the log, before the worker inherits it."""
    logging.getLogger("gunicorn.error").addFilter(_without_requests)
