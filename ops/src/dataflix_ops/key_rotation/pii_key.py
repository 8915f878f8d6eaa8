"""The key's line in `.env`, and the file beside it that holds the next one until Postgres has it."""

import os
import re
from pathlib import Path

from dataflix_ops.key_rotation.errors import RotationError

_LINE = re.compile(r"^DATAFLIX_PII_KEY=([0-9a-f]{64})$", re.MULTILINE)


def next_path(env_file: Path) -> Path:
    """Return where a rotation keeps the new `.env` until it takes the old one's place."""
    return env_file.with_name(env_file.name + ".rotating")


def key_in(path: Path) -> str:
    """Return the key that a file holds.

    Raises:
        RotationError: it holds none.
    """
    found = _LINE.findall(path.read_text(encoding="utf-8"))
    if len(found) != 1:
        raise RotationError(f"{path} must have one line DATAFLIX_PII_KEY=, with 64 hexadecimal digits.")
    return str(found[0])


def write_next(env_file: Path, key: str) -> Path:
    """Write a copy of `.env` with another key beside it (mode 600), and have it on the disk."""
    text = _LINE.sub(f"DATAFLIX_PII_KEY={key}", env_file.read_text(encoding="utf-8"))
    path = next_path(env_file)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    return path
