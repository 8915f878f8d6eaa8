"""The API's address and key: from an option, the environment, or ``.env``."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from dataflix_cli.errors import InputError, RefusedError
from dataflix_common import ports
from dataflix_common.env_file import ENV_FILE_VARIABLE, read_env_file

URL = "DATAFLIX_API_URL"
HOST = "DATAFLIX_BACKEND_HOST"
PORT = "DATAFLIX_BACKEND_PORT"
KEY = "DATAFLIX_API_KEY"

# A server can listen on these addresses, but a client cannot connect to them: it uses this machine instead.
_ANY_ADDRESS = {"0.0.0.0": ports.DEFAULT_HOST, "::": "[::1]"}  # noqa: S104 - connected to, not listened on


@dataclass(frozen=True, slots=True)
class Connection:
    """The address and the key of the API."""

    url: str
    key: str = field(repr=False)


def connection(api_url: str | None, environ: Mapping[str, str], folder: Path) -> Connection:
    """Find address and key: an option wins over the environment, and the environment over ``.env``.

    Raises:
        InputError: the address or the key is unusable, or DATAFLIX_ENV_FILE names no file.
        RefusedError: there is no key.
    """
    file = env_file(environ, folder)
    values = read_env_file(file) if file else {}
    values |= {name: value for name, value in environ.items() if value}
    url = api_url or values.get(URL)
    if not url:
        host = values.get(HOST, ports.DEFAULT_HOST)
        url = f"http://{_ANY_ADDRESS.get(host, host)}:{values.get(PORT, ports.BACKEND)}"
    key = values.get(KEY, "")
    if not key:
        searched = f"Neither the environment nor {file} has it" if file else "There is no .env"
        raise RefusedError(f"{KEY} is not set. {searched}.", f"Run inside the project folder, or set {KEY}.")
    if not (key.isascii() and key.isprintable()):
        raise InputError(f"{KEY} has characters that a key cannot have.", f"Copy {KEY} from .env again.")
    return Connection(_checked(url), key)


def env_file(environ: Mapping[str, str], folder: Path) -> Path | None:
    """Return the file that DATAFLIX_ENV_FILE names, else the nearest ``.env`` from ``folder`` upwards.

    The last candidate is next to the virtual environment that holds this command.

    Raises:
        InputError: DATAFLIX_ENV_FILE names no file.
    """
    named = environ.get(ENV_FILE_VARIABLE)
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise InputError(f"{ENV_FILE_VARIABLE} names {path}, which is not a file.", "./run.sh writes it.")
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
        example = f"http://{ports.DEFAULT_HOST}:{ports.BACKEND}"
        raise InputError(f"{url!r} is not an address.", f"Use one like {example}.")
    return url.rstrip("/")
