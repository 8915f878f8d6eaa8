"""The error type of the stack."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class StackError(Exception):
    """An error that the person who runs the stack can fix; the message says what is wrong and what to do."""


def raise_all(problems: Sequence[str]) -> None:
    """Raise one error with all problems, so that nobody mends them one start at a time.

    Raises:
        StackError: there is a problem.
    """
    if len(problems) == 1:
        raise StackError(problems[0])
    if problems:
        raise StackError(f"{len(problems)} things must be mended:" + "".join(f"\n- {p}" for p in problems))


class Problems:
    """Collects the errors of checks that do not depend on each other."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._texts)

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Keep the `StackError` of the block for `raise_all`."""
        try:
            yield
        except StackError as error:
            self._texts.append(str(error))

    def raise_all(self) -> None:
        """Raise what was collected.

        Raises:
            StackError: a check has failed.
        """
        raise_all(self._texts)
