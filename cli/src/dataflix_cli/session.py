"""What every command works with: the API, the output, and the options that all share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from dataflix_cli.client import Api
from dataflix_cli.output import Output
from dataflix_cli.settings import connection

Command = TypeVar("Command", bound=Callable[..., Any])


class Session:
    """One run of ``dataflix``."""

    def __init__(self, api_url: str | None, output: Output) -> None:
        self.output = output
        self._api_url = api_url
        self._api: Api | None = None

    @property
    def api(self) -> Api:
        """The API; address and key are looked up when it is first needed. Raises CliError."""
        if self._api is None:
            self._api = Api(connection(self._api_url, os.environ, Path.cwd()))
        return self._api

    def show(self, view: Callable[[Output, Any], None], answer: Any) -> None:
        """Print an answer: as it is for programs, by ``view`` for people."""
        if self.output.as_json:
            self.output.json(answer)
        else:
            view(self.output, answer)

    def show_page(self, view: Callable[[Output, Any], None], answer: Any) -> None:
        """Print one page of a list, and for people how to see the next."""
        self.show(view, answer)
        shown = answer["meta"]["offset"] + answer["meta"]["count"]
        if answer["meta"]["count"] and shown < answer["meta"]["total"] and not self.output.as_json:
            self.output.note(f"--offset {shown} shows more.")


pass_session = click.make_pass_decorator(Session)


def _set_json(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    session = context.find_object(Session)
    if value and session is not None:
        session.output.as_json = True


def json_option(command: Command) -> Command:
    """Add ``--json``."""
    return click.option(
        "--json", is_flag=True, expose_value=False, callback=_set_json, help="Print the API's answer as JSON."
    )(command)


def page_options(command: Command) -> Command:
    """Add ``--limit`` and ``--offset``."""
    limited = click.option(
        "--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="How many rows to show."
    )(command)
    return click.option(
        "--offset", type=click.IntRange(min=0), default=0, show_default=True, help="How many rows to skip."
    )(limited)


def count_option(command: Command) -> Command:
    """Add ``-n``."""
    return click.option(
        "-n",
        "count",
        type=click.IntRange(1, 100),
        default=10,
        show_default=True,
        help="How many films.",
    )(command)
