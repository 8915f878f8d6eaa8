"""Files that are replaced in one step: a reader sees the old file or the new one, never a part.

Written by hand because the library for this, atomicwrites, is no longer kept up.
"""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

# Files of ours may hold secrets or personal data: the owner alone reads them.
PRIVATE = 0o600


@contextmanager
def replacing(path: Path, *, mode: int | None = PRIVATE) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of ``path`` when the block ends without an error.

    The new file is written next to ``path`` and synced to the disk first. After an error nothing of it stays.

    Args:
        path: the file to replace or to create; its folder must exist.
        mode: permissions of the new file; None for what the process's umask gives.

    Raises:
        OSError: the file cannot be written or moved to its place, see `check_replaceable`.
    """
    check_replaceable(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            if mode is not None:
                os.fchmod(stream.fileno(), mode)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def replace_file(path: Path, content: bytes | str, *, mode: int | None = PRIVATE) -> None:
    """Replace ``path`` by a file with this content, text as UTF-8; see ``replacing``.

    Raises:
        OSError: the file cannot be written or moved to its place.
    """
    with replacing(path, mode=mode) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)


def check_replaceable(path: Path) -> None:
    """Refuse to replace a device, a pipe, or what the process itself prints to.

    A rename does not mind: root's would put an ordinary file in the place of /dev/null or /dev/stdout, for
    every program of the machine.

    Raises:
        OSError: the path is one of these, or can't be looked at.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        raise OSError(errno.EINVAL, "It is a device or a pipe, not a file that can be replaced", str(path))
    for descriptor in (1, 2):
        try:
            printed_to = os.fstat(descriptor)
        except OSError:
            # A closed stream leads nowhere.
            continue
        if os.path.samestat(found, printed_to):
            raise OSError(errno.EBUSY, "The command itself prints to it", str(path))
