"""The command `dataflix-clickhouse`."""

import logging
import sys
from pathlib import Path

import click

from dataflix_clickhouse import settings as settings_module
from dataflix_clickhouse.errors import StartupError
from dataflix_common.click_group import OutputErrorsGroup
from dataflix_common.click_types import PathType
from dataflix_common.command_end import run_to_end
from dataflix_common.settings import SettingsError

_LOG_FORMAT = 'time=%(asctime)s level=%(levelname)s logger=%(name)s message="%(message)s"'


def run() -> int:
    """Run the command line; return the exit code, after a failure with one sentence on stderr."""
    return run_to_end(_main, "dataflix-clickhouse")


def _main() -> object:
    try:
        return main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort as error:
        raise KeyboardInterrupt from error


@click.group(cls=OutputErrorsGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """ClickHouse's HTTP interface in front of chDB."""


@main.command()
@click.option("--path", type=PathType(), help="Data folder [DATAFLIX_HOME/clickhouse].")
@click.option("--host", help="Address to listen on [DATAFLIX_CLICKHOUSE_HOST or 127.0.0.1].")
@click.option("--port", type=click.IntRange(1, 65535), help="Port [DATAFLIX_CLICKHOUSE_PORT or 8123].")
@click.option("--init", type=PathType(), help="Folder of SQL files to run at the start.")
def serve(path: Path | None, host: str | None, port: int | None, init: Path | None) -> None:
    """Serve a data folder until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format=_LOG_FORMAT, stream=sys.stderr)
    try:
        settings = settings_module.load(data_dir=path, init_dir=init, host=host, port=port)
        # Importing the engine takes a second, which --help and a wrong setting do not need.
        from dataflix_clickhouse import server  # noqa: PLC0415

        server.serve(settings)
    except (SettingsError, StartupError) as error:
        raise click.ClickException(str(error)) from error
