"""Questions of the menu. An empty line or the end of input goes back, Ctrl-C leaves."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import TypeVar

from rich.console import Console
from rich.text import Text

from dataflix_cli.text import safe
from dataflix_common.argument_types import number_in

Value = TypeVar("Value")


class GoBack(Exception):  # noqa: N818 - not an error: the person wants to go back
    """The person wants to go back to the page before."""


class EndOfInput(GoBack):
    """The input has ended: the person pressed Ctrl-D."""


class Prompt:
    """Asks questions on the terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._readline = _load_readline()

    def text(self, question: str, typed: str = "") -> str:
        """Return the stripped answer, which may be empty.

        Args:
            question: what is asked.
            typed: what the line holds at first, such as an answer that was refused.

        Raises:
            EndOfInput: the input ended.
        """
        self._console.file.flush()
        try:
            with _line_holds(self._readline, typed):
                return input(self._bold(f"{question}: ")).strip()
        except EOFError as error:
            self._console.print()
            raise EndOfInput from error

    def required(self, question: str, typed: str = "") -> str:
        """Return the answer.

        Raises:
            GoBack: the answer is empty, or the input ended.
        """
        answer = self.text(question, typed)
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
            number = number_in(text, 1, count)
            if number is not None:
                return number
            if text.lower() in letters:
                return text.lower()
            numbers = [f"a number from 1 to {count}"] if count else []
            raise ValueError(f"Type {' or '.join([*numbers, *letters])}.")

        return self.value(question, parse)

    def _bold(self, question: str) -> str:
        if not self._console.is_terminal or self._readline is None or os.environ.get("NO_COLOR"):
            return question
        # The two marks tell readline which characters take no place on the line.
        return f"\x01\x1b[1m\x02{question}\x01\x1b[0m\x02"


def _load_readline() -> ModuleType | None:
    """Let input() edit lines and recall earlier ones with the arrow keys, in this whole process.

    Not before the menu runs: readline leaves the beginning of a broken UTF-8 character out, without a word. A
    question of a command, such as "Erase this person?", must get what was typed.
    """
    try:
        import readline  # noqa: PLC0415
    except ImportError:  # pragma: no cover  Python can be built without it; then a line can't be edited
        return None
    return readline


@contextmanager
def _line_holds(readline: ModuleType | None, text: str) -> Iterator[None]:
    """Let the next line hold a text, which the person can change."""
    if readline is None or not text:
        yield
        return
    readline.set_startup_hook(lambda: readline.insert_text(text))
    try:
        yield
    finally:
        readline.set_startup_hook()
