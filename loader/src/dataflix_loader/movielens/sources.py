"""The files of a folder or zip file, including those in subfolders."""

import lzma
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from dataflix_loader.movielens.errors import FileError, NotMovieLensError

# A data set has about ten files, at most two folders down. With a home folder given by mistake, the search
# must end soon.
_MAX_FILES = 2000
_MAX_DEPTH = 3

# Damaged zip files raise all of these; ValueError among others for names that can't be decoded.
_READ_ERRORS = (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


@dataclass(frozen=True)
class SourceFile:
    """A file of a folder or zip file.

    Attributes:
        name: path below the source, with slashes.
        size: unpacked size in bytes.
        opener: opens it for reading bytes.
    """

    name: str
    size: int
    opener: Callable[[], IO[bytes]]

    @property
    def folder(self) -> PurePosixPath:
        """The folder of the file, below the source."""
        return PurePosixPath(self.name).parent

    @property
    def base_name(self) -> str:
        """The name without folders."""
        return PurePosixPath(self.name).name

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open for reading bytes.

        Raises:
            FileError: it can't be opened.
        """
        try:
            stream = self.opener()
        except _READ_ERRORS as error:
            raise FileError(f"{self.name} can't be opened: {error}.") from error
        with stream:
            yield stream


def read_some(file: SourceFile, stream: IO[bytes], size: int) -> bytes:
    """Return up to `size` bytes.

    Raises:
        FileError: the disk or the zip file is damaged.
    """
    try:
        return stream.read(size)
    except _READ_ERRORS as error:
        raise FileError(f"{file.name} can't be read to its end: {error}.") from error


@contextmanager
def open_source(path: Path) -> Iterator[list[SourceFile]]:
    """Yield the files of a folder or zip file.

    Raises:
        NotMovieLensError: the path is neither.
        FileError: it can't be read.
    """
    if path.is_dir():
        yield sorted(_files_below(path), key=lambda file: file.name)
    elif path.is_file() and zipfile.is_zipfile(path):
        try:
            archive = zipfile.ZipFile(path)
        except _READ_ERRORS as error:
            raise FileError(f"{path} is a damaged zip file: {error}.") from error
        with archive:
            yield sorted(_members(archive), key=lambda file: file.name)
    elif path.exists():
        raise NotMovieLensError(
            f"{path} is neither a folder nor a complete zip file. Name the folder of a MovieLens data set, "
            "or the zip file as GroupLens offers it."
        )
    else:
        raise NotMovieLensError(f"{path} does not exist.")


def list_paths(root: Path) -> list[Path]:
    """Return the files of a folder that `open_source` yields; none if it is a file or does not exist.

    Raises:
        FileError: the folder can't be read.
    """
    found: list[Path] = []
    if not root.is_dir():
        return found

    def refuse(error: OSError) -> None:
        raise FileError(f"{error.filename} can't be read: {error.strerror}.") from error

    for folder, subfolders, names in os.walk(root, onerror=refuse):
        depth = len(Path(folder).relative_to(root).parts)
        subfolders[:] = sorted(subfolders) if depth < _MAX_DEPTH else []
        paths = (Path(folder, name) for name in sorted(names))
        found += [file for file in paths if len(found) < _MAX_FILES and file.is_file()]
    return found[:_MAX_FILES]


def _files_below(root: Path) -> list[SourceFile]:
    return [
        SourceFile(file.relative_to(root).as_posix(), file.stat().st_size, _folder_opener(file))
        for file in list_paths(root)
    ]


def _folder_opener(file: Path) -> Callable[[], IO[bytes]]:
    return lambda: file.open("rb")


def _members(archive: zipfile.ZipFile) -> list[SourceFile]:
    return [
        SourceFile(member.filename, member.file_size, _member_opener(archive, member))
        for member in archive.infolist()
        # macOS adds a folder of metadata files with the names of the real ones.
        # A damaged archive may have members without a name.
        if member.filename and not member.is_dir() and not member.filename.startswith("__MACOSX/")
    ]


def _member_opener(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    return lambda: archive.open(member)
