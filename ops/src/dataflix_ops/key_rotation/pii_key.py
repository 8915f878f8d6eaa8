"""The key of the pseudonyms in `.env`, and the copy of `.env` with the next key during a rotation."""

import re
from pathlib import Path

from dataflix_common.files import replace_file
from dataflix_ops.key_rotation.errors import RotationError

_VARIABLE = "DATAFLIX_PII_KEY"
# The file is edited as text, so that its other lines and comments stay as they are.
_LINE = re.compile(rf"^{_VARIABLE}=([0-9a-f]{{64}})$", re.MULTILINE)


def next_path(env_file: Path) -> Path:
    """Return the path of the new `.env`, which a rotation keeps until it replaces the old one."""
    return env_file.with_name(env_file.name + ".rotating")


def read_key(path: Path) -> str:
    """Return the key in a file.

    Raises:
        RotationError: the file has no line with a key, or several.
    """
    found = _LINE.findall(path.read_text(encoding="utf-8"))
    if len(found) != 1:
        raise RotationError(f"{path} must have one line {_VARIABLE}=, with 64 hexadecimal digits.")
    return str(found[0])


def write_next(env_file: Path, key: str) -> Path:
    """Write a copy of `.env` with another key (mode 600) and sync it to the disk; returns its path."""
    path = next_path(env_file)
    replace_file(path, _LINE.sub(f"{_VARIABLE}={key}", env_file.read_text(encoding="utf-8")))
    return path


def activate_next(env_file: Path) -> None:
    """Replace `.env` by its copy with the next key."""
    next_path(env_file).replace(env_file)
