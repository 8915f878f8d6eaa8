"""Questions of the menu; an end of input goes back, Ctrl-C leaves."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.text import Text

from dataflix_cli.text import safe

Value = TypeVar("Value")


class Back(Exception):  # noqa: N818 - no error: the person wants to go back
    """The person ended the input."""


class Ask:
    """Asks on the terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def text(self, question: str) -> str:
        """Return what is typed, stripped; raises Back at the end of input."""
        try:
            return self._console.input(Text(f"{question}: ", style="bold")).strip()
        except EOFError as error:
            self._console.print()
            raise Back from error

    def required(self, question: str) -> str:
        """Return what is typed; an empty line goes back."""
        answer = self.text(question)
        if not answer:
            raise Back
        return answer

    def value(self, question: str, parse: Callable[[str], Value]) -> Value:
        """Ask until ``parse`` does not raise ValueError, whose text is shown. An empty line goes back."""
        while True:
            try:
                return parse(self.required(question))
            except ValueError as error:
                self._console.print(Text(safe(error), style="red"))

    def choice(self, question: str, count: int, letters: Sequence[str] = ()) -> int | str:
        """Return a number from 1 to ``count`` or one of ``letters``; an empty line goes back."""

        def parse(text: str) -> int | str:
            if text.isascii() and text.isdecimal() and 1 <= int(text) <= count:
                return int(text)
            if text.lower() in letters:
                return text.lower()
            numbers = [f"a number from 1 to {count}"] if count else []
            raise ValueError(f"Type {' or '.join([*numbers, *letters])}.")

        return self.value(question, parse)
