"""Which users were erased through this server: all its workers know at once, with and without Postgres."""

import logging
import os
import struct
import threading
import time
from pathlib import Path

# The user's id, and when the user was erased, by the clock that all processes of a machine share.
_ENTRY = struct.Struct("<qd")
# Long enough for every worker to have asked Postgres several times; ids of erased users are not kept longer.
KEPT_S = 120.0

_log = logging.getLogger(__name__)


class ErasedUsers:
    """A file to which the workers append; ``serve`` empties it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._offset = 0
        self._erased_at: dict[int, float] = {}

    def add(self, user_id: int) -> None:
        """Record an erasure that is done; without space on the disk, the other workers notice it later."""
        entry = _ENTRY.pack(user_id, time.monotonic())
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # One write to the end of a file is never mixed with another one.
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, entry)
            finally:
                os.close(descriptor)
        except OSError as error:
            _log.warning("erasure not shared with other workers", extra={"reason": type(error).__name__})

    def erased_at(self, user_id: int) -> float | None:
        """Return when a user was erased, by the monotonic clock; None if no recent erasure is known."""
        with self._lock:
            self._read_new_entries()
            return self._erased_at.get(user_id)

    def forget_old(self) -> None:
        """Remove all entries when the newest is so old that every worker has asked Postgres since."""
        try:
            if self._path.stat().st_size and time.time() - self._path.stat().st_mtime > KEPT_S:
                os.truncate(self._path, 0)
        except FileNotFoundError:
            return
        except OSError as error:
            _log.warning("erasures not forgotten", extra={"reason": type(error).__name__})

    def _read_new_entries(self) -> None:
        try:
            with self._path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size < self._offset:
                    self._offset = 0
                    self._erased_at.clear()
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            return
        whole = len(content) - len(content) % _ENTRY.size
        for user_id, erased_at in _ENTRY.iter_unpack(content[:whole]):
            self._erased_at[user_id] = erased_at
        self._offset += whole
