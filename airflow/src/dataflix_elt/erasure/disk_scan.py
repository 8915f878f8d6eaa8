"""Searches ClickHouse's files, packed and unpacked, for texts that must not be in them."""

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import lz4.block

# A compressed block: 16 bytes of checksum; then method, size including these 9 bytes, and size unpacked.
_CHECKSUM_BYTES = 16
_HEADER = struct.Struct("<BII")
_LZ4, _PLAIN = 0x82, 0x02
# Files of columns. Marks and the index are packed, too, but hold offsets and keys.
_COLUMNS = ".bin"
# Plain files may be larger than memory.
_PIECE_BYTES = 16 << 20


@dataclass(slots=True)
class ScanResult:
    """What a scan found.

    Attributes:
        bytes: searched, unpacked where packed.
        files: searched.
        folders: that have a file that was searched, each by its name and that of the folder above.
        found: files that contain one of the texts.
        unread: files with a codec that this module cannot unpack.
    """

    bytes: int = 0
    files: int = 0
    folders: set[tuple[str, str]] = field(default_factory=set)
    found: list[Path] = field(default_factory=list)
    unread: list[Path] = field(default_factory=list)


class _UnknownCodecError(Exception):
    """A block has a codec that this module cannot unpack, or is no block."""


class _Texts:
    """Texts to look for, however many, in one pass; looking for each in turn takes hours for thousands.

    Written by hand: pyahocorasick's packages know no bytes, and `re` reads 14 MB/s.
    """

    def __init__(self, texts: Sequence[bytes]) -> None:
        self._texts = frozenset(texts)
        self._lengths = sorted({len(text) for text in texts})
        letters = set(b"".join(texts))
        self._is_letter = bytes(byte in letters for byte in range(256))

    @property
    def longest(self) -> int:
        """Number of bytes of the longest one."""
        return self._lengths[-1] if self._lengths else 1

    def are_in(self, piece: bytes) -> bool:
        """Return whether one of them is in the piece."""
        return any(
            not self._texts.isdisjoint(run[start : start + length] for start in range(len(run) - length + 1))
            for run in self._runs(piece)
            for length in self._lengths
        )

    def _runs(self, piece: bytes) -> Iterator[bytes]:
        """Yield what is long enough and has only letters of the texts; pseudonyms are hexadecimal digits."""
        if not self._lengths:
            return
        letters = piece.translate(self._is_letter)
        shortest = b"\1" * self._lengths[0]
        begin = letters.find(shortest)
        while begin >= 0:
            end = letters.find(b"\0", begin)
            end = len(letters) if end < 0 else end
            yield piece[begin:end]
            begin = letters.find(shortest, end)


def scan(folder: Path, texts: Sequence[bytes]) -> ScanResult:
    """Search every file under `folder` as it is and, if it is packed, unpacked.

    Files and folders that vanish meanwhile are skipped: what they held is gone, too.

    Raises:
        OSError: a file or a folder cannot be read.
    """
    wanted = _Texts(texts)
    result = ScanResult()
    for path in sorted(_files(folder)):
        try:
            contents = [_pieces(path, wanted.longest)]
            if path.suffix == _COLUMNS:
                contents.append(_unpacked(path, wanted.longest))
            for content in contents:
                for piece in content:
                    result.bytes += len(piece)
                    if wanted.are_in(piece):
                        result.found.append(path)
                        break
            result.files += 1
            result.folders.add((path.parent.parent.name, path.parent.name))
        except FileNotFoundError:
            continue
        except _UnknownCodecError:
            result.unread.append(path)
    return result


def _files(folder: Path) -> Iterator[Path]:
    """Yield every file; `Path.rglob` ends with an error when a folder vanishes while it looks."""
    for parent, _, names in os.walk(folder, onerror=_raise_unless_gone):
        for name in names:
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _pieces(path: Path, longest: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        before = b""
        while piece := file.read(_PIECE_BYTES):
            yield before + piece
            # A text may span two pieces.
            before = piece[-longest:]


def _unpacked(path: Path, longest: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        before = b""
        while head := file.read(_CHECKSUM_BYTES + _HEADER.size):
            if len(head) < _CHECKSUM_BYTES + _HEADER.size:
                raise _UnknownCodecError
            method, packed_size, size = _HEADER.unpack_from(head, _CHECKSUM_BYTES)
            body = file.read(packed_size - _HEADER.size)
            if method == _LZ4:
                piece = lz4.block.decompress(body, uncompressed_size=size)
            elif method == _PLAIN:
                piece = body
            else:
                raise _UnknownCodecError
            yield before + piece
            before = piece[-longest:]
