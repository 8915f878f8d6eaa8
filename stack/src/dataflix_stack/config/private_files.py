"""Takes the rights of other accounts from the state folder and from `.env`."""

import os
import stat
from pathlib import Path

from dataflix_stack.errors import StackError

# Everything that a service writes is for its own account alone.
UMASK = 0o077

_OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_folder_private(folder: Path) -> None:
    """Take all rights of other accounts from a folder and everything in it. Links are not followed.

    Raises:
        StackError: the folder's file system has no modes.
        OSError: a mode cannot be changed.
    """
    # The folder first: from then on, no other account can reach what is in it.
    folder.chmod(stat.S_IRWXU)
    if folder.stat().st_mode & _OF_OTHERS:
        raise StackError(
            f"Other accounts can read {folder}, and its file system does not allow to change that. "
            "Name a folder on another file system with DATAFLIX_HOME."
        )
    folders = [folder]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                _make_entry_private(entry)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))


def _make_entry_private(entry: os.DirEntry[str]) -> None:
    try:
        mode = entry.stat(follow_symlinks=False).st_mode
        if not stat.S_ISLNK(mode) and mode & _OF_OTHERS:
            Path(entry.path).chmod(stat.S_IMODE(mode) & ~_OF_OTHERS)
    except FileNotFoundError:
        # A running service has removed it meanwhile.
        return


def make_file_private(path: Path) -> bool:
    """Take all rights of other accounts from a file with secrets; return whether it had any.

    Raises:
        StackError: every account can read the file, and it is not ours to change.
    """
    mode = path.stat().st_mode
    if not mode & _OF_OTHERS:
        return False
    try:
        path.chmod(stat.S_IMODE(mode) & ~_OF_OTHERS)
    except PermissionError as error:
        # A file of root that a group may read is a way to hand secrets to a service.
        if mode & stat.S_IRWXO:
            raise StackError(
                f"Every account can read the secrets in {path}, and it belongs to another account: its owner "
                f"must run chmod o= {path}."
            ) from error
        return False
    if path.stat().st_mode & _OF_OTHERS:
        raise StackError(
            f"Other accounts can read the secrets in {path}, and its file system can't change that. "
            "Move the file to another file system and name it with DATAFLIX_ENV_FILE."
        )
    return True
