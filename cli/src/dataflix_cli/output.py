"""Data goes to standard output, everything else to standard error."""

import errno
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dataflix_cli.errors import CancelledError, CliError
from dataflix_cli.source import OUR_TABLES, Source
from dataflix_cli.text import dump_json, safe

# In a pipe a table is as wide as its content; rich would fold it to 80 columns.
_PIPE_WIDTH = 1000


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise what rich would turn into the exit code 1."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class Output:
    """Prints answers as tables for people, or as JSON. Only a terminal gets colours.

    Attributes:
        as_json: whether to print JSON.
        source: returns what the API answers from, whose words stand in our sentences.
    """

    def __init__(self) -> None:
        self.as_json = False
        self.source: Callable[[], Source] = lambda: OUR_TABLES
        is_terminal = sys.stdout.isatty()
        self.console = _Console(highlight=False, width=None if is_terminal else _PIPE_WIDTH)
        self._errors = _Console(stderr=True, highlight=False, soft_wrap=True)

    def json(self, value: Any) -> None:
        """Print the API's answer."""
        click.echo(dump_json(value))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table. A column whose name starts with '>' is aligned to the right."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in columns:
            right = name.startswith(">")
            table.add_column(name.removeprefix(">"), justify="right" if right else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text(_cell(value)) for value in row))
        self.console.print(table)

    def fields(self, pairs: Iterable[tuple[str, object]]) -> None:
        """Print fields, one per line, without those that have no value."""
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        for name, value in pairs:
            if value not in (None, "", []):
                table.add_row(name, Text(_cell(value)))
        self.console.print(table)

    def note(self, text: str) -> None:
        """Print a note about the data to standard error."""
        self._errors.print(Text(text, style="dim"))

    def done(self, text: str) -> None:
        """Confirm an action on standard error."""
        self._errors.print(Text(text, style="green"))

    def error(self, error: CliError) -> None:
        """Print what was wrong and the hint to standard error."""
        if isinstance(error, CancelledError):
            self._errors.print(f"\n{error.message}")
            return
        self._errors.print(Text.assemble(("Error: ", "bold red"), safe(error.message)))
        # A hint may be a list. Its lines are ours; line breaks of names are escaped where the hint is made.
        for line in error.hint.splitlines():
            self._errors.print(Text(safe(line)))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return safe(", ".join(str(item) for item in value))
    if isinstance(value, float):
        return f"{value:.3f}"
    return safe(value)
