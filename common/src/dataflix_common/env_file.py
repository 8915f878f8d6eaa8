"""The file ``.env``: where it is, and what it says."""

import errno
import io
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

ENV_FILE_VARIABLE = "DATAFLIX_ENV_FILE"
HOME_VARIABLE = "DATAFLIX_HOME"


def env_file_path(environ: Mapping[str, str] = os.environ, folder: Path | None = None) -> Path:
    """Return the path of ``.env``, whether the file exists or not.

    Args:
        environ: ``DATAFLIX_ENV_FILE`` in it names the file.
        folder: the project's folder; by default the one that holds the virtual environment.
    """
    return Path(environ.get(ENV_FILE_VARIABLE) or (folder or Path(sys.prefix).parent) / ".env").absolute()


def read_env_file(path: Path) -> dict[str, str]:
    """Return the variables of a ``.env`` that have a value; none when there is no such file.

    ``${NAME}`` in a value stays as it is written. A password may have it, and in a file that somebody else
    wrote it could copy a secret of the environment into an address.

    Raises:
        OSError: the file exists and cannot be read, or is a folder.
        UnicodeDecodeError: the file is not UTF-8, or has a zero byte.
    """
    if path.is_dir():
        # As open() does; a folder is no setting, and not the lack of settings either.
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not path.is_file():
        return {}
    content = path.read_bytes()
    if b"\0" in content:
        place = content.index(b"\0")
        raise UnicodeDecodeError("utf-8", content, place, place + 1, "a zero byte is no text")
    # Some editors begin a UTF-8 file with a byte order mark.
    text = content.decode("utf-8-sig")
    values = dotenv_values(stream=io.StringIO(text), interpolate=False)
    return {name: value for name, value in values.items() if value}


def with_env_file(environ: Mapping[str, str] = os.environ, folder: Path | None = None) -> dict[str, str]:
    """Return ``environ`` on top of ``.env``, so that a person's shell needs no exports.

    ``DATAFLIX_HOME`` is always set: by default it is the folder ``.dataflix`` next to ``.env``.
    """
    path = env_file_path(environ, folder)
    return {HOME_VARIABLE: str(path.parent / ".dataflix")} | read_env_file(path) | dict(environ)
