"""Peak memory of a process and all it has started."""

import os
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

# What rises and falls between two looks is missed; the root's own peak is kept by the kernel.
LOOK_EVERY_S = 0.02
_KIB_PER_MB = 1000 / 1.024
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class PeakMemory:
    """Looks at a process tree while a block runs; ``megabytes`` (10^6 bytes) is the highest sum of RSS.

    Pages that processes share count once for each of them.
    """

    def __init__(self, pid: int) -> None:
        self.megabytes = 0.0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self._look()
            if self._over.wait(LOOK_EVERY_S):
                self._look()
                return

    def _look(self) -> None:
        total = sum(map(_resident_bytes, _tree(self._pid)))
        self.megabytes = max(self.megabytes, total / 1e6, high_water_mb(self._pid))


def _tree(pid: int) -> list[int]:
    """Return a process and all that it has started.

    Only their own files are read: to ask for all processes of the machine took 3 ms, at each look.
    """
    found = [pid]
    for one in found:
        # A thread may have gone meanwhile, or all of its process.
        with suppress(OSError):
            for children in list(Path(f"/proc/{one}/task").glob("*/children")):
                with suppress(OSError):
                    found += map(int, children.read_bytes().split())
    return found


def _resident_bytes(pid: int) -> int:
    """Return what a process has in memory, 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def high_water_mb(pid: int) -> float:
    """Return the peak RSS that the kernel has seen of one process, 0 when it is gone.

    Not getrusage: a child's begins at what its parent had when it was started.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / _KIB_PER_MB for line in lines if line.startswith("VmHWM:")), 0.0)
