"""Pipes between the event loop and the engine's threads.

The engine opens its end by path (`/dev/fd/N`), as if it were a file; ours is driven by the event loop and
never blocks it. So a body or a result of any size takes one pipe's buffer of memory, and no disk.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from typing import Self

# Linux lets every process have pipes of 1 MiB (fs.pipe-max-size): fewer turns between the engine's thread and
# the event loop than with the default 64 KiB.
PIPE_BYTES = 1 << 20


class Pipe:
    """A pipe with one end for the engine and one for the event loop."""

    def __init__(self) -> None:
        self._read_fd, self._write_fd = os.pipe()
        # Refused when the user's share of large pipes is used up: the default size is slower, not wrong.
        with contextlib.suppress(PermissionError):
            fcntl.fcntl(self._write_fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        # Holds for our ends only: the engine opens the path anew, and its end blocks.
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
                await _ready(self._loop.add_reader, self._loop.remove_reader, self._read_fd)

    async def feed(self, body: AsyncIterator[bytes]) -> None:
        """Write everything the body yields, waiting for the engine to take it."""
        async for data in body:
            rest = memoryview(data)
            while rest:
                try:
                    rest = rest[os.write(self._write_fd, rest) :]
                except BlockingIOError:
                    await _ready(self._loop.add_writer, self._loop.remove_writer, self._write_fd)

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

    def __exit__(self, *_: object) -> None:
        self.close_read()
        self.close_write()


async def _ready(
    add: Callable[[int, Callable[[], None]], None], remove: Callable[[int], bool], descriptor: int
) -> None:
    event = asyncio.Event()
    add(descriptor, event.set)
    try:
        await event.wait()
    finally:
        remove(descriptor)
