"""A click group whose errors are short, and that does not end by itself when its output fails.

Needs click, as all that use it do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

# Some lines of a terminal. A message holds the value that is wrong, which may have thousands of characters.
_MAX_MESSAGE = 600


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
    except click.UsageError as error:
        message, half = error.format_message(), _MAX_MESSAGE // 2
        if len(message) <= _MAX_MESSAGE:
            raise
        raise click.UsageError(f"{message[:half]} ... {message[-half:]}", error.ctx) from error


class OutputErrorsGroup(click.Group):
    """Raises errors of the output, where click ends with 1 and no word when a pipe is closed.

    The message of an error of use is cut in the middle if it is very long.
    """

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
