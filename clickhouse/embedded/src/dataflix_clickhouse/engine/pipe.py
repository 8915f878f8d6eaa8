"""Pipes between the event loop and the engine's threads.

The engine opens its end by path (`/dev/fd/N`) like a file. The event loop drives the other end and never
blocks. So a body or result of any size needs the memory of one pipe buffer, and no disk.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from typing import Self

# The largest pipe that Linux allows by default (fs.pipe-max-size): fewer thread switches than with 64 KiB.
PIPE_BYTES = 1 << 20


class Pipe:
    """A pipe with one end for the engine and one for the event loop."""

    def __init__(self) -> None:
        self._read_fd, self._write_fd = os.pipe()
        # Linux refuses it when the user has too many large pipes; the default size is slower, but works.
        with contextlib.suppress(PermissionError):
            fcntl.fcntl(self._write_fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        # Only for our ends: the engine opens the path again, so its end blocks.
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self._write_fd, False)
        self._loop = asyncio.get_running_loop()

    @property
    def read_path(self) -> str:
        """The path that the engine reads from."""
        return f"/dev/fd/{self._read_fd}"

    @property
    def write_path(self) -> str:
        """The path that the engine writes to."""
        return f"/dev/fd/{self._write_fd}"

    async def read(self) -> bytes:
        """Return the next data, at most `PIPE_BYTES`; empty when all writers have closed their ends."""
        while True:
            try:
                return os.read(self._read_fd, PIPE_BYTES)
            except BlockingIOError:
                await _ready(self._loop.add_reader, self._loop.remove_reader, self._read_fd)

    async def feed(self, body: AsyncIterator[bytes]) -> None:
        """Write everything that the body yields; wait while the pipe is full."""
        async for data in body:
            rest = memoryview(data)
            while rest:
                try:
                    rest = rest[os.write(self._write_fd, rest) :]
                except BlockingIOError:
                    await _ready(self._loop.add_writer, self._loop.remove_writer, self._write_fd)

    def close_read(self) -> None:
        """Close our reading end."""
        if self._read_fd >= 0:
            os.close(self._read_fd)
            self._read_fd = -1

    def close_write(self) -> None:
        """Close our writing end; the reader sees the end when the engine has closed its own, too."""
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
