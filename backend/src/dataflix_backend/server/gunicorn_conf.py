"""gunicorn's configuration, made from our settings.

The application is not preloaded: each worker has its own threads and connections, and a
reload brings new code.
"""

import gc
import os
from pathlib import Path
from typing import Any

from prometheus_client import multiprocess

from dataflix_backend import logs
from dataflix_backend.settings import Settings

_settings = Settings.from_environ(os.environ)

bind = f"{_settings.host}:{_settings.port}"
workers = _settings.workers
threads = _settings.threads
worker_class = "dataflix_backend.server.gunicorn_worker.Worker"
proc_name = "dataflix-backend"

# A worker without a heartbeat for this long hangs: the longest statement ends after 10 s.
timeout = 30
# Running requests may finish before a worker ends; longer than any statement.
graceful_timeout = 15
# An idle connection delays a worker's end by this much at most.
keepalive = 5

# Recycling bounds a memory leak; with jitter the workers do not restart together.
max_requests = 200_000
max_requests_jitter = 50_000

# A path with an application's ids: 400 characters of four bytes take 4,800, percent-encoded. gunicorn's most.
limit_request_line = 8190
limit_request_fields = 50
limit_request_field_size = 4096

# There is no proxy by default, so no header may change the client's address or the scheme.
forwarded_allow_ips = ""
forwarder_headers = ""
control_socket_disable = True
# The worker's loop sends all answers, so nothing may write to the socket past it.
sendfile = False

# In memory, so that heartbeats do not wait for a disk.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - gunicorn makes its own files

logconfig_dict = logs.configuration()


def post_worker_init(worker: Any) -> None:
    """Keep long-lived objects out of garbage collection.

    A full collection visits 130,000 objects and stops the worker for about 90 ms.
    """
    gc.collect()
    gc.freeze()


def worker_exit(server: Any, worker: Any) -> None:
    """Close the application of a worker that ends; one that could not start has none."""
    # Not above: gunicorn's main process, which reads this file, would keep old code over a reload.
    from dataflix_backend.app import close_app  # noqa: PLC0415

    if (application := getattr(worker, "wsgi", None)) is not None:
        close_app(application)


def child_exit(server: Any, worker: Any) -> None:
    """Remove the live gauges of a worker that has ended."""
    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
