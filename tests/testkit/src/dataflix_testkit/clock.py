"""Moves the wall clock of a running process, with a preloaded C library that replaces the clock functions."""

import os
import shutil
import struct
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

_SOURCE = Path(__file__).with_name("clock.c")
_SECONDS = struct.Struct("=q")


@dataclass
class Clock:
    """The wall clock of all processes that are started with ``environ``; monotonic clocks do not change.

    Attributes:
        offset: how far the clock is ahead of the true time.
    """

    library: Path
    file: Path
    offset: timedelta = timedelta(0)

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables that give a process this clock."""
        return {"LD_PRELOAD": str(self.library), "DATAFLIX_TEST_CLOCK": str(self.file)}

    def jump(self, offset: timedelta) -> None:
        """Set the offset from the true time; it applies at once to all processes with this clock."""
        # Write in place, because the processes have mapped the file.
        with self.file.open("r+b" if self.file.exists() else "wb") as stream:
            stream.write(_SECONDS.pack(round(offset.total_seconds())))
        self.offset = offset

    def now(self) -> datetime:
        """Return the time that this clock shows."""
        return datetime.now(UTC) + self.offset


def movable_clock(folder: Path) -> Clock:
    """Return a clock that shows the true time. Without Linux and a C compiler, skip the test."""
    compiler = shutil.which("cc")
    if compiler is None or os.uname().sysname != "Linux":
        pytest.skip("moving a clock needs Linux and a C compiler (cc)")
    library = folder / "clock.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), str(_SOURCE)]
    subprocess.run(command, check=True)
    # Postgres runs as another user.
    folder.chmod(0o755)
    library.chmod(0o755)
    clock = Clock(library, folder / "offset")
    clock.jump(timedelta(0))
    clock.file.chmod(0o644)
    return clock
