"""The commands of the backend."""

import logging.config
import os
import signal
import sys
import threading

import click
import orjson

from dataflix_backend import logs
from dataflix_backend.key_commands import keys
from dataflix_backend.plain_errors import PlainErrorsGroup
from dataflix_backend.settings import SyncSettings
from dataflix_common.settings import SettingsError


@click.group(cls=PlainErrorsGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Serve the Dataflix API. Settings come from DATAFLIX_ variables in the environment."""


main.add_command(keys)


@main.command()
def serve() -> None:
    """Serve the API with gunicorn, in the foreground."""
    from dataflix_backend.server.launch import ServeError, serve  # noqa: PLC0415 - only serve needs gunicorn

    try:
        serve(os.environ)
    except (SettingsError, ServeError) as error:
        raise click.ClickException(str(error)) from error


@main.command("sync-model")
@click.option("--once", is_flag=True, help="Look once; exit 1 if the champion could not be installed.")
def sync_model(*, once: bool) -> None:
    """Install each new champion of the registry for the API, until stopped."""
    logging.config.dictConfig(logs.configuration())
    # MLflow takes seconds to import.
    from dataflix_backend.services.model.registry import MlflowRegistry  # noqa: PLC0415
    from dataflix_backend.services.model.synchroniser import (  # noqa: PLC0415
        SyncError,
        Synchroniser,
        sync_lock,
    )

    try:
        settings = SyncSettings.from_environ(os.environ)
        with sync_lock(settings.models_dir):
            synchroniser = Synchroniser(settings.models_dir, MlflowRegistry(settings))
            if once:
                sys.exit(0 if synchroniser.step() else 1)
            stop = threading.Event()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stop.set())
            synchroniser.run(stop)
    except (SettingsError, SyncError) as error:
        raise click.ClickException(str(error)) from error


@main.command()
def openapi() -> None:
    """Print the OpenAPI document; needs no settings."""
    from dataflix_backend.app import bare_app  # noqa: PLC0415
    from dataflix_backend.web.openapi import document  # noqa: PLC0415

    click.echo(orjson.dumps(document(bare_app()), option=orjson.OPT_INDENT_2))
