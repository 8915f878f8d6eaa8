"""A short path of the state folder: a Unix socket's path has a limit, and a folder's may be longer."""

import hashlib
import os
import stat
from pathlib import Path

from dataflix_stack.errors import StackError

# Linux allows 107 bytes and macOS 103. Below the state folder the longest is that of Python's forkserver,
# /tmp/pymp-xxxxxxxx/listener-xxxxxxxx with 36 bytes; 7 are a reserve.
MAX_HOME_BYTES = 60

# Fixed, not TMPDIR: ./stop.sh must find what ./run.sh made, whatever the shell's settings are.
_FOLDERS = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))  # noqa: S108  _make_link trusts no file it finds there


def short_home(home: Path) -> Path:
    """Return a path of the state folder that is short enough for the sockets below it.

    Args:
        home: the state folder; does not have to exist.

    Returns:
        `home` itself if it is short, else a symbolic link to it, which is made if it is missing.
        The files stay in the state folder either way.

    Raises:
        StackError: the path is too long and no link to it can be made.
    """
    if len(os.fsencode(home)) <= MAX_HOME_BYTES:
        return home
    for link in _candidates(home):
        if _make_link(link, home):
            return link
    raise StackError(
        f"The path of the state folder {home} has more than {MAX_HOME_BYTES} bytes, too long for Unix "
        f"sockets, and no short link to it can be made in {', '.join(map(str, _FOLDERS))}. "
        "Name a folder with a shorter path with DATAFLIX_HOME."
    )


def remove_short_home(home: Path) -> None:
    """Remove the link that `short_home` made, if there is one."""
    for link in _candidates(home):
        if _is_ours(link, home):
            link.unlink()


def _candidates(home: Path) -> list[Path]:
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    return [folder / f"dataflix-{os.geteuid()}-{digest}" for folder in _FOLDERS]


def _make_link(link: Path, home: Path) -> bool:
    """Return whether `link` leads to `home` and nobody else can change that."""
    try:
        mode = link.parent.stat().st_mode
        # Without the sticky bit, another account could put its own link in the place of ours.
        if mode & 0o022 and not mode & stat.S_ISVTX:
            return False
        link.symlink_to(home)
    except FileExistsError:
        return _is_ours(link, home)
    except OSError:
        # A system without this folder, or one that we may not write; the next candidate is tried.
        return False
    return True


def _is_ours(link: Path, home: Path) -> bool:
    try:
        entry = link.lstat()
        return stat.S_ISLNK(entry.st_mode) and entry.st_uid == os.geteuid() and link.readlink() == home
    except OSError:
        return False
