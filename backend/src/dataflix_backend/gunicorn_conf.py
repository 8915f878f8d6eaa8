"""gunicorn's configuration for this API, made from our settings.

No preloading: each worker has its own watcher thread and connections, and a reload takes up new code.
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
worker_class = "dataflix_backend.gunicorn_worker.Worker"
proc_name = "dataflix-backend"

# A worker that has not answered its heartbeat for this long is hung: the longest statement ends after 10 s.
timeout = 30
# Requests under way may end before a worker goes; longer than any statement.
graceful_timeout = 15
# An idle connection holds up a worker's end for this long at most.
keepalive = 5

# Recycling bounds what a leak could take; the jitter keeps workers from going together.
max_requests = 200_000
max_requests_jitter = 50_000

# Our longest honest request line is a film search of 200 characters, percent-encoded.
limit_request_line = 4094
limit_request_fields = 50
limit_request_field_size = 4096

# Nothing stands in front of us by default, so no header may change who or what is asked.
forwarded_allow_ips = ""
forwarder_headers = ""
control_socket_disable = True

# Heartbeats must not wait for a disk.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - gunicorn makes its own files

logconfig_dict = logs.configuration()


def post_worker_init(worker: Any) -> None:
    """Leave what lives as long as the worker out of garbage collections.

    A full one looks at 130,000 objects, which takes some 90 ms in which nobody is answered.
    """
    gc.collect()
    gc.freeze()


def child_exit(server: Any, worker: Any) -> None:
    """Forget the live gauges of a worker that is gone."""
    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
