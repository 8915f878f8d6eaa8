"""Counts in a file that all workers of a machine share."""

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

# The name's digest, the window's number, the counts in it and in the one before it.
_SLOT = struct.Struct("<8sQII")
_SLOTS = 1 << 14  # 393 KB; keys that ask within the same two windows
# A name lies in one of so many slots behind the one that its digest gives.
_REACH = 8


@dataclass(slots=True)
class Count:
    """What was counted in window ``number``, and in the one before it."""

    number: int
    present: int
    before: int


class Shelf:
    """A fixed number of slots, each with the count of one name.

    A slot is read and written under a lock of the file, which the system lets go when a worker dies. It is
    not mapped: what a full disk or a cut file does to a mapping would end the worker.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._descriptor = file.fileno()
        os.posix_fallocate(self._descriptor, 0, _SLOTS * _SLOT.size)
        # The file's lock is the process's: its threads take turns by this one.
        self._lock = threading.Lock()

    @classmethod
    def at(cls, path: Path) -> Self:
        """Open the file at ``path``, or make it; raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        return cls(os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0))

    @classmethod
    def private(cls) -> Self:
        """Return one that this process has for itself."""
        return cls(tempfile.TemporaryFile(buffering=0))

    @contextmanager
    def held(self, name: str) -> Iterator[Count]:
        """Hold the count of ``name``, and keep what is made of it; a name without one has a count of nothing.

        Where too many names fall on one place, the one that asked longest ago or least gives way.
        """
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        first = int.from_bytes(digest, "little") % (_SLOTS - _REACH)
        with self._lock:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
            try:
                slots = os.pread(self._descriptor, _REACH * _SLOT.size, first * _SLOT.size)
                place, count = _find([*_SLOT.iter_unpack(slots)], digest)
                yield count
                kept = _SLOT.pack(digest, count.number, count.present, count.before)
                os.pwrite(self._descriptor, kept, (first + place) * _SLOT.size)
            finally:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN)


def _find(slots: list[tuple[bytes, int, int, int]], digest: bytes) -> tuple[int, Count]:
    """Return the place of a digest and its count, or the place that it may take and a count of nothing."""
    for place, (whose, *told) in enumerate(slots):
        if whose == digest:
            return place, Count(*told)
    place = min(range(len(slots)), key=lambda at: (slots[at][1], slots[at][2] + slots[at][3]))
    return place, Count(0, 0, 0)
