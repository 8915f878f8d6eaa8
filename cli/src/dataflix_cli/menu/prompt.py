"""Questions of the menu. An empty line or the end of input goes back, Ctrl-C leaves."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.text import Text

from dataflix_cli.text import safe

Value = TypeVar("Value")


class GoBack(Exception):  # noqa: N818 - not an error: the person wants to go back
    """The person wants to go back to the page before."""


class Prompt:
    """Asks questions on the terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def text(self, question: str) -> str:
        """Return the stripped answer, which may be empty.

        Raises:
            GoBack: the input ended.
        """
        try:
            return self._console.input(Text(f"{question}: ", style="bold")).strip()
        except EOFError as error:
            self._console.print()
            raise GoBack from error

    def required(self, question: str) -> str:
        """Return the answer.

        Raises:
            GoBack: the answer is empty, or the input ended.
        """
        answer = self.text(question)
        if not answer:
            raise GoBack
        return answer

    def value(self, question: str, parse: Callable[[str], Value]) -> Value:
        """Ask until ``parse`` accepts the answer. The text of its ValueError is shown.

        Raises:
            GoBack: the answer is empty, or the input ended.
        """
        while True:
            try:
                return parse(self.required(question))
            except ValueError as error:
                self._console.print(Text(safe(error), style="red"))

    def choice(self, question: str, count: int, letters: Sequence[str] = ()) -> int | str:
        """Return a number from 1 to ``count`` or one of ``letters``.

        Raises:
            GoBack: the answer is empty, or the input ended.
        """

        def parse(text: str) -> int | str:
            if text.isascii() and text.isdecimal() and 1 <= int(text) <= count:
                return int(text)
            if text.lower() in letters:
                return text.lower()
            numbers = [f"a number from 1 to {count}"] if count else []
            raise ValueError(f"Type {' or '.join([*numbers, *letters])}.")

        return self.value(question, parse)
