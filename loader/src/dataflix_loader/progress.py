"""A progress bar on stderr, plain lines when stderr is not a terminal; and the summary at the end."""

import io
import sys
import time
from typing import TextIO

from dataflix_common.command_end import discard, say
from dataflix_loader.errors import UnwrittenOutputError

_WIDTH = 30

# Time between two redraws of a terminal, and between two lines in a log.
_REDRAW_SECONDS = 0.1
_LINE_SECONDS = 10.0


class Progress:
    """Progress through a known number of bytes, then through named steps."""

    def __init__(self, total_bytes: int, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._total = max(total_bytes, 1)
        # Python has no stderr when it was closed before the start.
        self._stream = stream or sys.stderr or io.StringIO()
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
        self._write(("\r\x1b[K" if self._is_terminal else "") + f"{elapsed:6.1f} s  {label}\n")

    def _draw(self) -> None:
        share = self._done / self._total
        filled = round(share * _WIDTH)
        line = f"{'#' * filled}{'.' * (_WIDTH - filled)} {share:4.0%}  {self._label}"
        if self._is_terminal:
            self._write(f"\r\x1b[K{line}")
            self._next_output = time.monotonic() + _REDRAW_SECONDS
        else:
            self._write(line + "\n")
            self._next_output = time.monotonic() + _LINE_SECONDS

    def _write(self, text: str) -> None:
        """Write text. A terminal or pipe that is gone ends the progress, and not the load in its middle."""
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            self._quiet = True
            discard(self._stream)


def print_summary(text: str, done: str) -> int:
    """Print the summary on stdout; return the exit code.

    Args:
        text: the summary.
        done: what has happened, as a sentence, in case that the summary can't be written.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # The reader has closed the pipe: it has what it wanted.
        discard(sys.stdout)
    except OSError as error:
        discard(sys.stdout)
        say(f"{done} The summary can't be written: {error.strerror}.")
        return UnwrittenOutputError.exit_code
    return 0
