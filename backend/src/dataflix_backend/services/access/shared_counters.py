"""Counters in a file that all workers of a machine share."""

import fcntl
import hashlib
import os
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

# The name's digest, the window's number, the counts in it and in the window before.
_SLOT = struct.Struct("<8sQII")
_SLOTS = 1 << 14  # 393 KB; room for the keys that are used within the same two windows
# A name is in one of this many slots, starting at the one that its digest gives.
_PROBES = 8


@dataclass(slots=True)
class WindowCount:
    """The counts of one name.

    Attributes:
        window: the number of the current window.
        current: the count in that window.
        previous: the count in the window before.
    """

    window: int
    current: int
    previous: int


class SharedCounters:
    """A hash table of fixed size in a file, each slot with the counts of one name.

    A slot is read and written under a lock of the file, which the system releases when a worker dies. The
    file is not memory-mapped: a full disk or a truncated file would kill the worker.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._descriptor = file.fileno()
        os.posix_fallocate(self._descriptor, 0, _SLOTS * _SLOT.size)
        # The file's lock belongs to the process; this one is between its threads.
        self._lock = threading.Lock()

    @classmethod
    def at(cls, path: Path) -> Self:
        """Open the file at ``path``, or make it.

        Raises:
            OSError: the file cannot be opened or made.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        return cls(os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0))

    @classmethod
    def private(cls) -> Self:
        """Return counters that only this process uses."""
        return cls(tempfile.TemporaryFile(buffering=0))

    @contextmanager
    def locked(self, name: str) -> Iterator[WindowCount]:
        """Lock the counts of ``name`` and store what the block changes; a new name starts at zero.

        Where too many names share a place, the one with the oldest window, then the lowest count, is dropped.
        """
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        first = int.from_bytes(digest, "little") % (_SLOTS - _PROBES)
        with self._lock:
            # lockf on the data file itself: filelock would open and close a second file on every request.
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
            try:
                slots = os.pread(self._descriptor, _PROBES * _SLOT.size, first * _SLOT.size)
                place, count = _find([*_SLOT.iter_unpack(slots)], digest)
                yield count
                packed = _SLOT.pack(digest, count.window, count.current, count.previous)
                os.pwrite(self._descriptor, packed, (first + place) * _SLOT.size)
            finally:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN)


def _find(slots: list[tuple[bytes, int, int, int]], digest: bytes) -> tuple[int, WindowCount]:
    """Return the place of a digest with its counts, or the place to use for it with counts of zero."""
    for place, (owner, *counts) in enumerate(slots):
        if owner == digest:
            return place, WindowCount(*counts)
    place = min(range(len(slots)), key=lambda at: (slots[at][1], slots[at][2] + slots[at][3]))
    return place, WindowCount(0, 0, 0)
