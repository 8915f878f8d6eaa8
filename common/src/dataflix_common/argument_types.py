"""What people type after a command: paths, whole numbers, and how a refused value is shown.

argparse calls `path` and the functions that `whole_number` and `number` return. For click, there is
`dataflix_common.click_types`.
"""

import argparse
import math
import reprlib
from collections.abc import Callable
from pathlib import Path

EMPTY_PATH = "it is empty; name a file or folder, or . for the present folder"
# A whole line of a terminal. Longer values are shown with a gap.
_MAX_SHOWN = 80


def shown(text: str) -> str:
    """Return a refused value for a message: in quotes, and with a gap if it is long."""
    short = reprlib.Repr()
    short.maxstring = _MAX_SHOWN
    return short.repr(text)


def number_in(text: str, low: int, high: int) -> int | None:
    """Return the whole number from ``low`` to ``high`` that a text of the digits 0 to 9 spells, else None.

    ``int`` raises ValueError for more than 4,300 digits, which a check of the digits does not catch.
    """
    digits = text.lstrip("0") or text[-1:]
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > len(str(high)):
        return None
    number = int(digits)
    return number if low <= number <= high else None


def path(text: str) -> Path:
    """Return a path; argparse shows why not.

    To pathlib an empty text, as of a shell's variable that is not set, is the present folder.
    """
    if not text:
        raise argparse.ArgumentTypeError(EMPTY_PATH)
    return Path(text)


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Return what reads a whole number from ``low`` to ``high`` for argparse."""

    def read(text: str) -> int:
        number = number_in(text, low, high)
        if number is None:
            raise argparse.ArgumentTypeError(
                f"must be a whole number from {low} to {high}, not {shown(text)}"
            )
        return number

    return read


def number(low: float, high: float) -> Callable[[str], float]:
    """Return what reads a number from ``low`` to ``high`` for argparse; ``nan`` is none."""

    def read(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not low <= found <= high:
            raise argparse.ArgumentTypeError(f"must be a number from {low:g} to {high:g}, not {shown(text)}")
        return found

    return read
