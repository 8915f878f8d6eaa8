"""Starts gunicorn in place of this process."""

import os
import shutil
import socket
import sys
from collections.abc import MutableMapping

from dataflix_backend.access.shelf import Shelf
from dataflix_backend.metrics import MULTIPROCESS_VARIABLE
from dataflix_backend.settings import Settings


class ServeError(RuntimeError):
    """The API cannot be started; the message tells which setting to change."""


def serve(environ: MutableMapping[str, str]) -> None:
    """Check settings, port and home, then become gunicorn; does not return.

    Raises SettingsError and ServeError.
    """
    settings = Settings.from_environ(environ)
    _require_free_port(settings)
    _renew_shared_files(settings)
    environ[MULTIPROCESS_VARIABLE] = str(settings.metrics_dir)
    command = ["-m", "gunicorn", "--config", "python:dataflix_backend.gunicorn_conf", "dataflix_backend.wsgi"]
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


def _renew_shared_files(settings: Settings) -> None:
    """Begin with no counts: those of earlier workers would be counted again."""
    try:
        settings.counts.unlink(missing_ok=True)
        Shelf.at(settings.counts)
        shutil.rmtree(settings.metrics_dir, ignore_errors=True)
        settings.metrics_dir.mkdir(parents=True)
        settings.models_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ServeError(f"cannot write to {settings.home}: {error}. DATAFLIX_HOME moves it.") from error
