"""Bytes from a writer that pushes to a reader that pulls, in constant memory."""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

# psycopg2 hands over one row at a time; gathering them before the pipe saves a system call and a switch of
# threads for each. The same size for the pipe (Linux' limit for ordinary users) and for a chunk over HTTP.
CHUNK_BYTES = 1 << 20


class Stream:
    """What a writer has written, chunk by chunk.

    Attributes:
        transferred: bytes handed out so far.
    """

    def __init__(self, descriptor: int, writer: "_Writer") -> None:
        self._descriptor = descriptor
        self._writer = writer
        self.transferred = 0

    def __iter__(self) -> Iterator[bytes]:
        """Yield the chunks; at the end, raise what the writer raised: a torn stream never looks whole."""
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
        except BaseException as error:  # noqa: BLE001  raised again by the reader
            self.error = error


@contextmanager
def streamed(write: Callable[[BinaryIO], None], cancel: Callable[[], None]) -> Iterator[Stream]:
    """Run `write(sink)` in a thread and yield what it writes.

    Args:
        cancel: makes `write` end soon; called when the reader leaves early.
    """
    read_end, write_end = os.pipe()
    with suppress(PermissionError):
        # The user's share of large pipes is used up: the default of 64 KiB is slower, not wrong.
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, CHUNK_BYTES)
    writer = _Writer(write_end, write)
    writer.start()
    try:
        yield Stream(read_end, writer)
    finally:
        # A writer that waits for room in the pipe is woken by this; one that waits for its input by `cancel`.
        os.close(read_end)
        if writer.is_alive():
            cancel()
        writer.join()
