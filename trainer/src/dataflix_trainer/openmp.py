"""Finds `libgomp.so.1`, which the wheel of `implicit` needs, on machines that do not have it.

The wheel of scikit-learn, which MLflow needs, contains a copy under another name. The dynamic linker reads
its search path only when a process starts, so a program that needs the copy starts itself again with the
path set.
"""

import ctypes
import importlib.util
import os
import sys
from pathlib import Path

from dataflix_trainer.errors import TrainerError

LIBRARY = "libgomp.so.1"
_SEARCH_PATH = "LD_LIBRARY_PATH"
_WHAT_TO_DO = "Install it (Debian: package libgomp1), or make the environment again."


class MissingLibraryError(TrainerError):
    """Neither the system nor the environment has the library."""


def require() -> None:
    """Return if the library can be loaded; else start this command again with the copy on the search path.

    Raises:
        MissingLibraryError: there is no copy, or it cannot be loaded.
    """
    if not sys.platform.startswith("linux") or _loads():
        return
    folder = str(_linked_copy())
    paths = os.environ.get(_SEARCH_PATH, "").split(":")
    if folder in paths:
        raise MissingLibraryError(f"{LIBRARY} in {folder} can't be loaded. {_WHAT_TO_DO}")
    os.environ[_SEARCH_PATH] = ":".join([folder, *filter(None, paths)])
    # The same command, with the same arguments.
    os.execv(sys.executable, [sys.executable, "-m", "dataflix_trainer.cli", *sys.argv[1:]])  # noqa: S606


def _loads() -> bool:
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


def _linked_copy() -> Path:
    """Return a folder of the environment with a link to the copy, under the name of the library."""
    found = importlib.util.find_spec("sklearn")
    origin = Path(found.origin) if found and found.origin else Path()
    copies = sorted((origin.parent.parent / "scikit_learn.libs").glob("libgomp-*.so*"))
    if not copies:
        raise MissingLibraryError(f"{LIBRARY}, which training needs, is not on this machine. {_WHAT_TO_DO}")
    link = Path(sys.prefix) / "lib" / "openmp" / LIBRARY
    link.parent.mkdir(parents=True, exist_ok=True)
    # Made under another name and then renamed, because two commands may start at once.
    temporary = link.with_name(f"{LIBRARY}.{os.getpid()}")
    temporary.symlink_to(copies[-1])
    temporary.replace(link)
    return link.parent


if __name__ == "__main__":
    # For programs that import implicit directly: prints the folder for their search path, if they need one.
    if not _loads():
        sys.stdout.write(str(_linked_copy()))
