"""Finds `libgomp.so.1`, which `implicit`'s wheel expects of the system, on machines without a compiler.

scikit-learn's wheel, which MLflow brings, carries a copy under another name. The dynamic linker reads its
search path at the start of a process only, so a program that needs the copy starts itself again with it set.
"""

import ctypes
import importlib.util
import os
import sys
from pathlib import Path

from dataflix_trainer.errors import TrainerError

LIBRARY = "libgomp.so.1"
_SEARCH_PATH = "LD_LIBRARY_PATH"
_WAY_OUT = "Install it (Debian: package libgomp1), or build the environment anew."


class MissingLibraryError(TrainerError):
    """Neither the system nor the environment has the library."""


def require() -> None:
    """Return where the library can be loaded; else start this command again so that it can.

    Raises MissingLibraryError.
    """
    if not sys.platform.startswith("linux") or _loads():
        return
    folder = str(_linked_copy())
    paths = os.environ.get(_SEARCH_PATH, "").split(":")
    if folder in paths:
        raise MissingLibraryError(f"{LIBRARY} in {folder} can't be loaded. {_WAY_OUT}")
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
    """Return a folder of the environment with a link of the library's right name."""
    found = importlib.util.find_spec("sklearn")
    origin = Path(found.origin) if found and found.origin else Path()
    copies = sorted((origin.parent.parent / "scikit_learn.libs").glob("libgomp-*.so*"))
    if not copies:
        raise MissingLibraryError(f"{LIBRARY}, which training needs, is not on this machine. {_WAY_OUT}")
    link = Path(sys.prefix) / "lib" / "openmp" / LIBRARY
    link.parent.mkdir(parents=True, exist_ok=True)
    # Beside and renamed: two commands may start at once.
    beside = link.with_name(f"{LIBRARY}.{os.getpid()}")
    beside.symlink_to(copies[-1])
    beside.replace(link)
    return link.parent


if __name__ == "__main__":
    # For programs that import implicit themselves: the folder to put on their search path, if any.
    if not _loads():
        sys.stdout.write(str(_linked_copy()))
