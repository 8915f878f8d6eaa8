"""Runs the job API under gunicorn: one worker, which holds the queue, with threads for requests."""

import logging
import os
import socket
import sys
from typing import Any, NoReturn

from flask import Flask
from gunicorn.app.base import BaseApplication

from dataflix_common.settings import SettingsError
from dataflix_trainer.jobs.api import RUNNER, create_app
from dataflix_trainer.jobs.runner import JobRunner
from dataflix_trainer.jobs.store import JobStore
from dataflix_trainer.settings import (
    JobServerSettings,
    read_environment,
)

# Airflow polls one or two jobs, and a person looks at them sometimes.
THREADS = 4
# Longer than the runner's STOP_GRACE_S.
GRACEFUL_TIMEOUT_S = 10


def serve() -> NoReturn:
    """Serve until SIGTERM or SIGINT.

    Raises:
        SettingsError: the port or the home folder cannot be used.
    """
    environ = read_environment()
    settings = JobServerSettings.from_environ(environ)
    # The processes of jobs read the same settings, those from .env included.
    os.environ.update(environ)
    _require_free_port(settings)
    try:
        settings.jobs_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{settings.jobs_dir} cannot be used: {error}. DATAFLIX_HOME moves it") from error
    sys.exit(_Server(settings).run())


class _Server(BaseApplication):  # type: ignore[misc]
    def __init__(self, settings: JobServerSettings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's options; called by the base class."""
        options = {
            "bind": f"{self._settings.host}:{self._settings.port}",
            "workers": 1,
            "worker_class": "dataflix_common.buffering_worker.BufferingWorker",
            "threads": THREADS,
            "graceful_timeout": GRACEFUL_TIMEOUT_S,
            "proc_name": "dataflix-trainer",
            "worker_exit": _stop_runner,
            "control_socket_disable": True,
            # The worker's loop sends all answers, so nothing may write to the socket past it.
            "sendfile": False,
            # There is no proxy, so no header may change the scheme or the path.
            "forwarded_allow_ips": "",
            "forwarder_headers": "",
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Make the application in the worker, because threads do not survive a fork."""
        logging.getLogger("dataflix_trainer").setLevel(logging.INFO)
        store = JobStore(self._settings.jobs_dir)
        runner = JobRunner(store)
        runner.start()
        return create_app(store, runner, self._settings.token)


def _stop_runner(_arbiter: Any, worker: Any) -> None:
    """End the present job with the worker, because no other process would watch it."""
    app = getattr(worker, "wsgi", None)
    if isinstance(app, Flask):
        app.extensions[RUNNER].stop()


def _require_free_port(settings: JobServerSettings) -> None:
    with socket.socket() as probe:
        # As gunicorn does: a port with lingering connections is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {settings.host}:{settings.port}: {error.strerror}. "
                "DATAFLIX_TRAINER_HOST and DATAFLIX_TRAINER_PORT move it"
            ) from error
