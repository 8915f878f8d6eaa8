"""dataflix source: the program that copies another application's database."""

import subprocess
import sys
from pathlib import Path

import click

from dataflix_cli.errors import CliError

_PROGRAM = "dataflix-source"


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def source(context: click.Context, arguments: tuple[str, ...]) -> None:
    """Inspect, check and copy another application's database.

    Runs dataflix-source with ARGUMENTS. It talks to the databases and not to the API: dataflix source --help.
    """
    program = Path(sys.executable).with_name(_PROGRAM)
    if not program.exists():
        raise CliError(
            f"{_PROGRAM} is not installed in {program.parent}.",
            "It belongs to the server: run dataflix source there, in Dataflix's own folder.",
        )
    context.exit(subprocess.run([program, *arguments], check=False).returncode)
