"""How gunicorn serves Superset: `gunicorn --config superset/gunicorn.conf.py 'superset.app:create_app()'`."""

import os

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
