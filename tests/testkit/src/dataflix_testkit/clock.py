"""The clock of a process, moved while it runs, by a few lines of C that stand before the library's own."""

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
    """The day's clock of whoever is started with ``environ``; clocks that count from a start stay right."""

    library: Path
    file: Path
    offset: timedelta = timedelta(0)

    @property
    def environ(self) -> dict[str, str]:
        """What a process needs to have this clock."""
        return {"LD_PRELOAD": str(self.library), "DATAFLIX_TEST_CLOCK": str(self.file)}

    def jump(self, offset: timedelta) -> None:
        """Set the clock so far from the true time, for all who have it, at once."""
        # In place: the file is mapped.
        with self.file.open("r+b" if self.file.exists() else "wb") as stream:
            stream.write(_SECONDS.pack(round(offset.total_seconds())))
        self.offset = offset

    def now(self) -> datetime:
        """Return what this clock shows."""
        return datetime.now(UTC) + self.offset


def movable_clock(folder: Path) -> Clock:
    """Return a clock that shows the true time; skips the test where there is no compiler of C for Linux."""
    compiler = shutil.which("cc")
    if compiler is None or os.uname().sysname != "Linux":
        pytest.skip("clocks are moved by a preloaded library, which needs Linux and a C compiler (cc)")
    library = folder / "clock.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), str(_SOURCE)]
    subprocess.run(command, check=True)
    # Postgres has a user of its own.
    folder.chmod(0o755)
    library.chmod(0o755)
    clock = Clock(library, folder / "offset")
    clock.jump(timedelta(0))
    clock.file.chmod(0o644)
    return clock
