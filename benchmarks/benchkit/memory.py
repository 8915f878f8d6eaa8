"""Peak memory of a process and all it has started."""

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

# What rises and falls between two looks is missed; the root's own peak is kept by the kernel.
LOOK_EVERY_S = 0.02
_KIB_PER_MB = 1000 / 1.024


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
        total = 0
        try:
            root = psutil.Process(self._pid)
            tree = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for process in tree:
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        self.megabytes = max(self.megabytes, total / 1e6, high_water_mb(self._pid))


def high_water_mb(pid: int) -> float:
    """Return the peak RSS that the kernel has seen of one process, 0 when it is gone.

    Not getrusage: a child's begins at what its parent had when it was started.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / _KIB_PER_MB for line in lines if line.startswith("VmHWM:")), 0.0)
