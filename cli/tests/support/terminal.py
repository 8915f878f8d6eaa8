"""A pseudo-terminal that a test types on."""

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

COMMAND = Path(sys.executable).with_name("dataflix")

# Long enough for a busy machine.
_PATIENCE_S = 60
_STYLES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """Runs the command on a pseudo-terminal, types, and waits for its output."""

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str], cwd: Path) -> None:
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            [COMMAND, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**environ, "TERM": "xterm-256color", "COLUMNS": "120"},
            cwd=cwd,
            start_new_session=True,
            preexec_fn=_set_controlling_terminal,  # noqa: PLW1509 - no threads here
        )
        os.close(slave)
        self.raw = b""
        self._read_to = 0

    @property
    def shown(self) -> str:
        """All output so far, without colours."""
        return _STYLES.sub(b"", self.raw).decode(errors="replace")

    def expect(self, text: str) -> None:
        """Wait until ``text`` appears after the text of the last ``expect``."""
        deadline = time.monotonic() + _PATIENCE_S
        while text not in self.shown[self._read_to :]:
            assert time.monotonic() < deadline, f"{text!r} was never shown:\n{self.shown}"
            assert self._read(), f"it ended without showing {text!r}:\n{self.shown}"
        self._read_to = self.shown.index(text, self._read_to) + len(text)

    def type(self, line: str) -> None:
        """Type a line and Enter."""
        os.write(self._master, line.encode() + b"\n")

    def type_anew(self, held: str, line: str) -> None:
        """Wait until the line holds an earlier text, delete it (Ctrl-U), and type another one and Enter."""
        self.expect(f": {held}")
        os.write(self._master, b"\x15" + line.encode() + b"\n")

    def press(self, key: bytes) -> None:
        """Press one key, such as Ctrl-C."""
        os.write(self._master, key)

    def press_until_end(self, key: bytes) -> int:
        """Press a key until the program ends and return the exit code.

        The program can lose a key that comes between the prompt and the moment when it starts to read.
        """
        deadline = time.monotonic() + _PATIENCE_S
        self.press(key)
        seen = len(self.raw)
        while self._read():
            assert time.monotonic() < deadline, f"it does not end:\n{self.shown}"
            if len(self.raw) == seen:
                self.press(key)
            seen = len(self.raw)
        return self._process.wait(_PATIENCE_S)

    def interrupt_until_end(self) -> int:
        """Send interrupts, many while the program leaves, and return the exit code."""
        while self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            time.sleep(0.0005)
            if select.select([self._master], [], [], 0)[0]:
                self._read()
        return self._process.wait()

    def end(self) -> int:
        """Wait for the end and return the exit code."""
        while self._read():
            pass
        return self._process.wait(_PATIENCE_S)

    def close(self) -> None:
        """End the process if it still runs."""
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], 0.5)
        if not ready:
            return self._process.poll() is None
        try:
            piece = os.read(self._master, 65536)
        except OSError:
            return False
        self.raw += piece
        return bool(piece)


def _set_controlling_terminal() -> None:
    """Make Ctrl-C work: set a controlling terminal and the signal's default action."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
