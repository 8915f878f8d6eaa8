"""One run of the command: the API and the output."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from dataflix_cli.client import Api
from dataflix_cli.errors import InputError
from dataflix_cli.output import Output
from dataflix_cli.settings import connection


class Session:
    """The API and the output of one run of ``dataflix``."""

    def __init__(self, api_url: str | None, output: Output) -> None:
        self.output = output
        self._api_url = api_url
        self._api: Api | None = None

    @property
    def api(self) -> Api:
        """The API. The first use looks up its address and key.

        Raises:
            CliError: there is no usable address or key.
        """
        if self._api is None:
            try:
                folder = Path.cwd()
            except OSError as error:
                raise InputError(
                    f"The current folder cannot be used: {error.strerror}.", "Change to another one."
                ) from error
            made = self._api = Api(connection(self._api_url, os.environ, folder))
            self.output.source = lambda: made.source
        return self._api

    def show(self, view: Callable[[Output, Any], None], answer: Any) -> None:
        """Print an answer as JSON for programs, or with ``view`` for people."""
        if self.output.as_json:
            self.output.json(answer)
        else:
            view(self.output, answer)

    def show_page(self, view: Callable[[Output, Any], None], answer: Any) -> None:
        """Print one page of a list, and tell people how to get the next page."""
        self.show(view, answer)
        shown = answer["meta"]["offset"] + answer["meta"]["count"]
        if answer["meta"]["count"] and shown < answer["meta"]["total"] and not self.output.as_json:
            self.output.note(f"--offset {shown} shows more.")


pass_session = click.make_pass_decorator(Session)
