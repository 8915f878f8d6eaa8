"""Peak memory of a process and its descendants."""

import os
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

# What rises and falls between two samples is missed, except for the root process: the kernel keeps its peak.
SAMPLE_INTERVAL_S = 0.02
_KIB_PER_MB = 1000 / 1.024
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class PeakMemory:
    """A context manager that samples a process tree while its block runs.

    Attributes:
        megabytes: The highest sum of RSS, in 10^6 bytes. Pages that processes share count for each of them.
    """

    def __init__(self, pid: int) -> None:
        self.megabytes = 0.0
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._sample()
            if self._stop.wait(SAMPLE_INTERVAL_S):
                self._sample()
                return

    def _sample(self) -> None:
        total = sum(map(_resident_bytes, _process_tree(self._pid)))
        self.megabytes = max(self.megabytes, total / 1e6, high_water_mb(self._pid))


def _process_tree(pid: int) -> list[int]:
    """Return a process and its descendants.

    It reads the files of these processes only: listing all processes of the machine took 3 ms a sample.
    """
    tree = [pid]
    for one in tree:
        # A thread or a whole process may have ended meanwhile.
        with suppress(OSError):
            for children in list(Path(f"/proc/{one}/task").glob("*/children")):
                with suppress(OSError):
                    tree += map(int, children.read_bytes().split())
    return tree


def _resident_bytes(pid: int) -> int:
    """Return the resident memory of a process, 0 when it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def high_water_mb(pid: int) -> float:
    """Return the peak RSS of one process by the kernel's count, 0 when it has ended.

    getrusage does not do: the value of a child starts at the size of its parent.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / _KIB_PER_MB for line in lines if line.startswith("VmHWM:")), 0.0)
