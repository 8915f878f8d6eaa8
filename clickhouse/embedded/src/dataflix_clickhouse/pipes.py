"""Pipes between the event loop and the engine's threads.

The engine opens its end by path (`/dev/fd/N`), as if it were a file; ours is driven by the event loop and never
blocks it. So a body or a result of any size takes one pipe's buffer of memory, and no disk.
"""

import asyncio
import fcntl
import os
from types import TracebackType
from typing import Self

# Linux lets an unprivileged process have pipes of 1 MiB (fs.pipe-max-size); fewer, larger turns between the
# engine's thread and the event loop than the default 64 KiB would give.
PIPE_BYTES = 1 << 20


class Pipe:
    """A pipe with one end for the engine and one for the event loop."""

    def __init__(self) -> None:
        self._read_fd, self._write_fd = os.pipe()
        try:
            fcntl.fcntl(self._write_fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        except PermissionError:
            # The user's share of large pipes is used up: the default size is slower, not wrong.
            pass
        # The flag belongs to this end only: the engine opens the path anew and stays blocking.
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self._write_fd, False)
        self._loop = asyncio.get_running_loop()

    @property
    def read_path(self) -> str:
        """Path under which the engine can read."""
        return f"/dev/fd/{self._read_fd}"

    @property
    def write_path(self) -> str:
        """Path under which the engine can write."""
        return f"/dev/fd/{self._write_fd}"

    async def read(self) -> bytes:
        """Return what there is, at most `PIPE_BYTES`; nothing when every writer has closed its end."""
        while True:
            try:
                return os.read(self._read_fd, PIPE_BYTES)
            except BlockingIOError:
                await self._ready(self._loop.add_reader, self._loop.remove_reader, self._read_fd)

    async def write(self, data: bytes) -> None:
        """Write everything, waiting for the engine to take it."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._write_fd, rest) :]
            except BlockingIOError:
                await self._ready(self._loop.add_writer, self._loop.remove_writer, self._write_fd)

    @staticmethod
    async def _ready(add, remove, fd: int) -> None:  # type: ignore[no-untyped-def]
        event = asyncio.Event()
        add(fd, event.set)
        try:
            await event.wait()
        finally:
            remove(fd)

    def close_read(self) -> None:
        """Close our hold on the reading end."""
        if self._read_fd >= 0:
            os.close(self._read_fd)
            self._read_fd = -1

    def close_write(self) -> None:
        """Close our hold on the writing end: the reader sees the end once the engine has closed its own."""
        if self._write_fd >= 0:
            os.close(self._write_fd)
            self._write_fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_read()
        self.close_write()
