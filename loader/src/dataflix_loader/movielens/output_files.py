"""The files that an import writes: the manifest and the rejects. Each appears complete or not at all."""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dataflix_common.files import check_replaceable, replacing
from dataflix_loader.movielens.errors import FileError, OutputPathError

# How the lists of rejects and the manifests begin.
_OUTPUT_STARTS = (b"file,line,reason,text\n", b'{\n  "version": ')
_OUTPUT_START_BYTES = 64


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


def check_output_paths(outputs: dict[str, Path], inputs: Iterable[Path]) -> None:
    """Refuse outputs that would replace an input, each other, or something that is no ordinary file.

    Files are compared by device and inode, so symbolic links, hard links and other spellings of a path count.

    Args:
        outputs: the files that will be written, by the option that names them.
        inputs: the files that are read; those that do not exist are ignored.

    Raises:
        OutputPathError: an output must not be written.
    """
    read = {}
    for path in inputs:
        if (found := _status(path)) is not None:
            read[found.st_dev, found.st_ino] = path
    written: dict[tuple[int, int] | Path, str] = {}
    for option, path in outputs.items():
        found = _status(path)
        if found is not None:
            if not stat.S_ISREG(found.st_mode):
                kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a device or pipe"
                raise OutputPathError(f"{option}: {path} is {kind}. Name a file that can be replaced.")
            same = read.get((found.st_dev, found.st_ino))
            if same is not None and not _is_earlier_output(path):
                raise OutputPathError(
                    f"{option}: {path} is {same}, which the import reads; it would be replaced. "
                    "Name another file."
                )
            try:
                check_replaceable(path)
            except OSError as error:
                raise OutputPathError(f"{option}: {path} can't be replaced: {error.strerror}.") from error
        key = (found.st_dev, found.st_ino) if found else Path(os.path.realpath(path))
        if (other := written.setdefault(key, option)) and other != option:
            raise OutputPathError(f"{other} and {option} name the same file, {path}. Name two files.")


def _is_earlier_output(path: Path) -> bool:
    """Return whether an earlier import wrote the file: people keep such files next to the data."""
    try:
        with path.open("rb") as stream:
            return stream.read(_OUTPUT_START_BYTES).startswith(_OUTPUT_STARTS)
    except OSError as error:
        raise _not_writable(path, error) from error


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise OutputPathError(f"{path} can't be used: {reason}.") from error


@contextmanager
def output_file(path: Path) -> Iterator[OutputFile]:
    """Open a file that replaces `path` when the block ends without an error.

    Raises:
        FileError: its folder can't be created or written, or the file can't take its place.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, mode=None) as stream:
            yield OutputFile(path, stream)
    except OSError as error:
        raise _not_writable(path, error) from error


def _not_writable(path: Path, error: OSError) -> FileError:
    return FileError(f"{path} can't be written: {error.strerror}.")
