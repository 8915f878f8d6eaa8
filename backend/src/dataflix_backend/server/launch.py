"""Starts gunicorn in place of this process."""

import os
import shutil
import socket
import sys
from collections.abc import MutableMapping

from dataflix_backend.services.access.shared_counters import SharedCounters
from dataflix_backend.settings import Settings
from dataflix_backend.web.metrics import MULTIPROCESS_VARIABLE


class ServeError(RuntimeError):
    """The API cannot start; the message names the setting to change."""


def serve(environ: MutableMapping[str, str]) -> None:
    """Check settings, port and home, then become gunicorn; does not return.

    Raises:
        SettingsError: variables are missing or wrong.
        ServeError: the port is taken, or the home cannot be written.
    """
    settings = Settings.from_environ(environ)
    _require_free_port(settings)
    _reset_shared_files(settings)
    environ[MULTIPROCESS_VARIABLE] = str(settings.metrics_dir)
    module = "dataflix_backend.server"
    command = ["-m", "gunicorn", "--config", f"python:{module}.gunicorn_conf", f"{module}.wsgi"]
    os.execve(sys.executable, [sys.executable, *command], dict(environ))  # noqa: S606 - no shell is wanted


def _require_free_port(settings: Settings) -> None:
    with socket.socket() as probe:
        # As gunicorn does: a port whose old connections linger is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise ServeError(
                f"cannot listen on {settings.host}:{settings.port}: {error.strerror}. "
                "DATAFLIX_BACKEND_HOST and DATAFLIX_BACKEND_PORT move it."
            ) from error


def _reset_shared_files(settings: Settings) -> None:
    """Start with no counts and no metrics: new workers would add to those of earlier ones."""
    try:
        settings.counts.unlink(missing_ok=True)
        settings.erased_users.unlink(missing_ok=True)
        SharedCounters.at(settings.counts)
        shutil.rmtree(settings.metrics_dir, ignore_errors=True)
        settings.metrics_dir.mkdir(parents=True)
        settings.models_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ServeError(f"cannot write to {settings.home}: {error}. DATAFLIX_HOME moves it.") from error
