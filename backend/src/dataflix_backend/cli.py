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
from dataflix_backend.settings import SettingsError, SyncSettings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Serve the Dataflix API. Settings come from DATAFLIX_ variables in the environment."""


main.add_command(keys)


@main.command()
def serve() -> None:
    """Serve the API with gunicorn, in the foreground."""
    from dataflix_backend.serve import ServeError, serve  # noqa: PLC0415 - gunicorn is needed here alone

    try:
        serve(os.environ)
    except (SettingsError, ServeError) as error:
        raise click.ClickException(str(error)) from error


@main.command("sync-model")
@click.option("--once", is_flag=True, help="Look once; exit 1 if the champion could not be taken up.")
def sync_model(*, once: bool) -> None:
    """Keep the served model level with the registry's champion, until stopped."""
    logging.config.dictConfig(logs.configuration())
    from dataflix_backend.registry import MlflowRegistry  # noqa: PLC0415 - MLflow takes seconds to import
    from dataflix_backend.sync import SyncError, Synchroniser, exclusive  # noqa: PLC0415

    try:
        settings = SyncSettings.from_environ(os.environ)
        with exclusive(settings.models_dir):
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
    from dataflix_backend.openapi import document  # noqa: PLC0415

    click.echo(orjson.dumps(document(bare_app()), option=orjson.OPT_INDENT_2))
