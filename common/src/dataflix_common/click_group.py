"""A click group that does not end by itself when its output fails. Needs click, as all that use it do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click


class _UnwritableOutputError(Exception):
    """Carries an error of the output through click."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


@contextmanager
def _past_click() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _UnwritableOutputError(error) from error


class OutputErrorsGroup(click.Group):
    """Raises errors of the output, where click ends with 1 and no word when a pipe is closed."""

    def make_context(self, *arguments: Any, **more: Any) -> click.Context:
        """Read the arguments; print the help if they ask for it."""
        with _past_click():
            return super().make_context(*arguments, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _past_click():
            return super().invoke(ctx)

    def main(self, *arguments: Any, **more: Any) -> Any:
        """Run the command line.

        Raises:
            OSError: the output cannot be written; BrokenPipeError if its reader has left.
        """
        try:
            return super().main(*arguments, **more)
        except _UnwritableOutputError as error:
            raise error.error from error
