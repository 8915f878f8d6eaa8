"""A progress bar on stderr; plain lines when stderr is not a terminal."""

import sys
import time
from typing import TextIO

_WIDTH = 30

# Time between two redraws of a terminal, and between two lines in a log.
_REDRAW_SECONDS = 0.1
_LINE_SECONDS = 10.0


class Progress:
    """Progress through a known number of bytes, then through named steps."""

    def __init__(self, total_bytes: int, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._total = max(total_bytes, 1)
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._is_terminal = self._stream.isatty()
        self._done = 0
        self._label = ""
        self._began = time.monotonic()
        self._next_output = self._began + (0 if self._is_terminal else _LINE_SECONDS)

    def start_file(self, label: str) -> None:
        """Set the name of the file that is read from now on."""
        self._label = label

    def advance(self, count: int) -> None:
        """Add the number of bytes that were read."""
        self._done = min(self._done + count, self._total)
        if not self._quiet and time.monotonic() >= self._next_output:
            self._draw()

    def step(self, label: str) -> None:
        """Print the name of a step whose progress is not measured in bytes."""
        if self._quiet:
            return
        elapsed = time.monotonic() - self._began
        if self._is_terminal:
            self._stream.write("\r\x1b[K")
        self._stream.write(f"{elapsed:6.1f} s  {label}\n")
        self._stream.flush()

    def _draw(self) -> None:
        share = self._done / self._total
        filled = round(share * _WIDTH)
        line = f"{'#' * filled}{'.' * (_WIDTH - filled)} {share:4.0%}  {self._label}"
        if self._is_terminal:
            self._stream.write(f"\r\x1b[K{line}")
            self._next_output = time.monotonic() + _REDRAW_SECONDS
        else:
            self._stream.write(line + "\n")
            self._next_output = time.monotonic() + _LINE_SECONDS
        self._stream.flush()
