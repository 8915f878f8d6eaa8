"""Ends a command with one plain sentence where a person, not our code, is the cause of an exception."""

import contextlib
import io
import os
import sys
from typing import Any

import click
import psycopg2
from psycopg2 import errors as pg

from dataflix_common.click_group import OutputErrorsGroup
from dataflix_common.command_end import CLOSED_OUTPUT, code_without_reader

# As shells report the end by SIGINT.
INTERRUPTED = 130
# The database is another one, or from before this version.
_OTHER_SCHEMA = (
    pg.UndefinedTable,
    pg.UndefinedColumn,
    pg.UndefinedFunction,
    pg.InvalidSchemaName,
    pg.InsufficientPrivilege,
)


class PlainErrorsGroup(OutputErrorsGroup):
    """A group whose commands end without a traceback. Click itself explains wrong arguments alone."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command line as click does, its help included."""
        if sys.stdout is None:
            # Before anything is done: a secret is shown only once.
            click.echo(f"Error: {CLOSED_OUTPUT}", err=True)
            sys.exit(1)
        for stream in (sys.stdout, sys.stderr):
            # A terminal that cannot show a character shows its code.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().main(*args, **options)
        except BrokenPipeError:
            discard_output()
            sys.exit(code_without_reader())
        except OSError as error:
            discard_output()
            click.echo(f"Error: writing failed: {error.strerror}.", err=True)
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and write all of its output."""
        try:
            # Errors of a command that are no errors of the output are told apart here.
            result = click.Group.invoke(self, ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            discard_output()
            ctx.exit(code_without_reader())
        except KeyboardInterrupt:
            # Click would say "Aborted!", as it does after an end of file, and nobody could tell which it was.
            click.echo("Error: interrupted.", err=True)
            ctx.exit(INTERRUPTED)
        except UnicodeError as error:
            raise click.ClickException("A setting, .env or an argument is not UTF-8.") from error
        except _OTHER_SCHEMA as error:
            raise click.ClickException(
                "The database does not have this version's tables. ./run.sh brings it up to date; "
                "a database of your own needs postgres/init/*.sql."
            ) from error
        except psycopg2.Error as error:
            # Not its text, which may hold values.
            raise click.ClickException(f"Postgres refuses this (SQLSTATE {error.pgcode}).") from error
        except OSError as error:
            discard_output()
            place = f"{error.filename}: " if error.filename else "reading or writing failed: "
            raise click.ClickException(f"{place}{error.strerror}.") from error
        return result


def discard_output() -> None:
    """Send what is still to be written nowhere: Python would try it again at its end, and fail again."""
    # Tests replace standard output by something without a file.
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
