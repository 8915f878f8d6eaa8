"""Files that appear whole or not at all: the manifest and the rejects."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from dataflix_loader.movielens.errors import SourceError


class PendingFile:
    """A file written beside its final place, put there by `publish`."""

    def __init__(self, path: Path, beside: Path, stream: TextIO) -> None:
        self._path = path
        self._beside = beside
        self._stream = stream

    def write(self, text: str, /) -> None:
        """Append text.

        Raises:
            SourceError: the disk is full or broken.
        """
        try:
            self._stream.write(text)
        except OSError as error:
            raise SourceError(f"{self._path} can't be written: {error.strerror}.") from error

    def complete(self) -> None:
        """Bring all that was written to the disk.

        Raises:
            SourceError: the disk is full or broken.
        """
        try:
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise SourceError(f"{self._path} can't be written: {error.strerror}.") from error

    def publish(self) -> None:
        """Put the complete file in its place; what lay there is replaced."""
        self._beside.replace(self._path)


@contextmanager
def pending_file(path: Path) -> Iterator[PendingFile]:
    """Give a file to write to; unless it is published, nothing of it stays.

    Raises:
        SourceError: its folder can't be made or written.
    """
    beside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = beside.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise SourceError(f"{path} can't be written: {error.strerror}.") from error
    try:
        with stream:
            yield PendingFile(path, beside, stream)
    finally:
        beside.unlink(missing_ok=True)
