"""A pipe from a writer that pushes bytes to a reader that pulls them, in constant memory."""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

# psycopg2 writes one row at a time. A buffer before the pipe saves a system call and a thread switch per row.
# The pipe (Linux' limit for ordinary users) and a chunk over HTTP have the same size.
CHUNK_BYTES = 1 << 20


class Stream:
    """The bytes of a writer, chunk by chunk.

    Attributes:
        transferred: bytes read so far.
    """

    def __init__(self, descriptor: int, writer: "_Writer") -> None:
        self._descriptor = descriptor
        self._writer = writer
        self.transferred = 0

    def __iter__(self) -> Iterator[bytes]:
        """Yield the chunks; at the end raise the writer's error: a torn stream never looks complete."""
        while chunk := os.read(self._descriptor, CHUNK_BYTES):
            self.transferred += len(chunk)
            yield chunk
        self._writer.join()
        if self._writer.error is not None:
            raise self._writer.error


class _Writer(threading.Thread):
    def __init__(self, descriptor: int, write: Callable[[BinaryIO], None]) -> None:
        super().__init__(name="dataflix-elt-writer", daemon=True)
        self._descriptor = descriptor
        self._write = write
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with open(self._descriptor, "wb", buffering=CHUNK_BYTES) as sink:  # noqa: PTH123  a descriptor
                self._write(sink)
        except BaseException as error:  # noqa: BLE001  the reader raises it again
            self.error = error


@contextmanager
def streamed(write: Callable[[BinaryIO], None], cancel: Callable[[], None]) -> Iterator[Stream]:
    """Run `write(sink)` in a thread and yield what it writes.

    Args:
        write: writes to the file that it is given.
        cancel: makes `write` end soon; called if the reader stops early.
    """
    read_end, write_end = os.pipe()
    with suppress(PermissionError):
        # The user has used up the quota of large pipes. The default of 64 KiB is slower, but works.
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, CHUNK_BYTES)
    writer = _Writer(write_end, write)
    writer.start()
    try:
        yield Stream(read_end, writer)
    finally:
        # This wakes a writer that waits for room in the pipe; `cancel` wakes one that waits for its input.
        os.close(read_end)
        if writer.is_alive():
            cancel()
        writer.join()
