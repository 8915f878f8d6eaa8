"""The command line of the server."""

import logging
import sys
from pathlib import Path

import click

from dataflix_clickhouse import settings as settings_module
from dataflix_clickhouse.errors import DataDirError, SettingsError

_LOG_FORMAT = 'time=%(asctime)s level=%(levelname)s logger=%(name)s message="%(message)s"'


@click.group()
def main() -> None:
    """ClickHouse's HTTP interface in front of chDB."""


@main.command()
@click.option("--path", type=click.Path(path_type=Path), help="Data folder [DATAFLIX_HOME/clickhouse].")
@click.option("--host", help="Address to listen on [DATAFLIX_CLICKHOUSE_HOST or 127.0.0.1].")
@click.option("--port", type=click.IntRange(1, 65535), help="Port [DATAFLIX_CLICKHOUSE_PORT or 8123].")
@click.option("--init", type=click.Path(path_type=Path), help="Folder of SQL files to apply at the start.")
def serve(path: Path | None, host: str | None, port: int | None, init: Path | None) -> None:
    """Serve a data folder until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format=_LOG_FORMAT, stream=sys.stderr)
    try:
        settings = settings_module.load(data_dir=path, init_dir=init, host=host, port=port)
        # Loading the engine takes a second: not for --help, nor for a wrong setting.
        from dataflix_clickhouse import server  # noqa: PLC0415

        server.serve(settings)
    except (SettingsError, DataDirError) as error:
        raise click.ClickException(str(error)) from error
