"""The files that an import writes: the manifest and the rejects. Each appears complete or not at all."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from dataflix_common.files import replacing
from dataflix_loader.movielens.errors import FileError


class OutputFile:
    """A text file that is not yet in its place."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self._path = path
        self._stream = stream

    def write(self, text: str, /) -> None:
        """Append text.

        Raises:
            FileError: the disk is full or broken.
        """
        try:
            self._stream.write(text.encode())
        except OSError as error:
            raise _not_writable(self._path, error) from error

    def sync(self) -> None:
        """Write everything to the disk, so that nothing but a rename is left to do.

        Raises:
            FileError: the disk is full or broken.
        """
        try:
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise _not_writable(self._path, error) from error


@contextmanager
def output_file(path: Path) -> Iterator[OutputFile]:
    """Open a file that replaces `path` when the block ends without an error.

    Raises:
        FileError: its folder can't be created or written.
    """
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = stack.enter_context(replacing(path, mode=None))
        except OSError as error:
            raise _not_writable(path, error) from error
        yield OutputFile(path, stream)


def _not_writable(path: Path, error: OSError) -> FileError:
    return FileError(f"{path} can't be written: {error.strerror}.")
