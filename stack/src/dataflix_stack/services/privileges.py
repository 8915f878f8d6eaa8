"""Starts programs of root without root's capabilities."""

import os
import shutil
import subprocess
from pathlib import Path

# Enough to say that Python and the program itself can be read, and that the folder can be written.
_TRY = 'test -r "$1" && test -x "$1" && "$2" -c "" && test -w "$3" && test -x "$3"'


def without_capabilities(command: list[str], folder: Path) -> list[str]:
    """Wrap a command of root so that it has no capability; return any other user's command unchanged.

    Without them, root is the owner of its own files and no more: it reads and writes no file of another
    account (Postgres' data, for one), and changes no owner, no mount and no other account's process.

    Args:
        command: the command; its program lies in the environment of its Python.
        folder: the folder that the program writes; root's own, or it is not wrapped.

    Returns:
        The command unchanged, too, where it would not work: `setpriv` is missing, the container does not
        allow it, or a folder on the way belongs to another account.
    """
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0 or setpriv is None:
        return command
    prefix = [setpriv, "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]
    program = Path(command[0])
    existing = next(one for one in (folder, *folder.parents) if one.exists())
    attempt = [*prefix, "sh", "-c", _TRY, "sh", str(program), str(program.with_name("python")), str(existing)]
    works = subprocess.run(attempt, capture_output=True, check=False).returncode == 0
    return [*prefix, *command] if works else command
