"""Where the API is and the key for it: from an option, the environment, or ``.env``."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values

from dataflix_cli.errors import InputError, RefusedError

URL = "DATAFLIX_API_URL"
HOST = "DATAFLIX_BACKEND_HOST"
PORT = "DATAFLIX_BACKEND_PORT"
KEY = "DATAFLIX_API_KEY"
ENV_FILE = "DATAFLIX_ENV_FILE"

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = "5002"
# Addresses a server listens on that no client can ask; the server is then on this machine, too.
_ANY_ADDRESS = {"0.0.0.0": DEFAULT_HOST, "::": "[::1]"}  # noqa: S104 - asked for, not listened on


@dataclass(frozen=True, slots=True)
class Connection:
    """How to ask the API."""

    url: str
    key: str = field(repr=False)


def connection(api_url: str | None, environ: Mapping[str, str], folder: Path) -> Connection:
    """Find address and key; an option wins over the environment, and that over ``.env``.

    Raises InputError for an address that is none or a named file that is not there, RefusedError without key.
    """
    file = env_file(environ, folder)
    values = {name: value for name, value in (dotenv_values(file) if file else {}).items() if value}
    values |= {name: value for name, value in environ.items() if value}
    url = api_url or values.get(URL)
    if not url:
        host = values.get(HOST, DEFAULT_HOST)
        url = f"http://{_ANY_ADDRESS.get(host, host)}:{values.get(PORT, DEFAULT_PORT)}"
    key = values.get(KEY, "")
    if not key:
        looked = f"The environment and {file} have none" if file else "No .env was found"
        raise RefusedError(f"{KEY} is not set. {looked}.", f"Run inside the project folder, or set {KEY}.")
    if not (key.isascii() and key.isprintable()):
        raise InputError(f"{KEY} holds characters that no key has.", f"Copy {KEY} from .env again.")
    return Connection(_checked(url), key)


def env_file(environ: Mapping[str, str], folder: Path) -> Path | None:
    """Return the file DATAFLIX_ENV_FILE names, else the nearest ``.env`` from ``folder`` upwards.

    The last place looked at is the folder above the environment that this command is installed in.
    """
    named = environ.get(ENV_FILE)
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise InputError(f"{ENV_FILE} names {path}, which is not a file.", "./run.sh writes it.")
        return path
    candidates = (place / ".env" for place in (folder, *folder.parents, Path(sys.prefix).parent))
    return next((path for path in candidates if path.is_file()), None)


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InputError(f"{url!r} is not an address.", f"Give one like http://127.0.0.1:{DEFAULT_PORT}.")
    return url.rstrip("/")
