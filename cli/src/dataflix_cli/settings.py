"""The API's address and key: from an option and the environment, or from one ``.env``."""

import os
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
    """Find address and key. Both come from one source, so no key goes where it does not belong.

    One source is the person: the option, and the variables that are exported. The other is one ``.env``. A
    source that names no address means the API of this machine.

    Raises:
        InputError: the address or the key is unusable, address and key come from two sources, or the ``.env``
            cannot be used.
        RefusedError: there is no key.
    """
    exported = {name: environ[name] for name in (URL, HOST, PORT, KEY) if environ.get(name)}
    given = {**exported, URL: api_url} if api_url else exported
    if KEY in given and _has_address(given):
        return Connection(_address(given), _key(given))
    file = env_file(environ, folder)
    stored = _read(file) if file else {}
    if KEY in given:
        if file and _has_address(stored) and stored.get(KEY) != given[KEY]:
            sources = f"{KEY} is exported, but the address is in {file}"
            _require_same(_address(stored), _address(given), sources)
        return Connection(_address(stored if stored.get(KEY) == given[KEY] else given), _key(given))
    if not stored.get(KEY):
        searched = f"Neither the environment nor {file} has it" if file else "There is no .env"
        raise RefusedError(f"{KEY} is not set. {searched}.", f"Run inside the project folder, or set {KEY}.")
    if _has_address(given):
        named = "the address is given" if api_url else "the address is exported"
        _require_same(_address(given), _address(stored), f"{named}, but {KEY} is in {file}")
        return Connection(_address(given), _key(stored))
    return Connection(_address(stored), _key(stored))


def env_file(environ: Mapping[str, str], folder: Path) -> Path | None:
    """Return the file that DATAFLIX_ENV_FILE names, else the nearest ``.env`` from ``folder`` upwards.

    The last candidate is next to the virtual environment that holds this command.

    Raises:
        InputError: DATAFLIX_ENV_FILE names no file, or the ``.env`` found belongs to another account.
    """
    try:
        named = environ.get(ENV_FILE_VARIABLE)
        if named:
            path = Path(named).expanduser()
            if not path.is_file():
                raise InputError(
                    f"{ENV_FILE_VARIABLE} names {path}, which is not a file.", "./run.sh writes it."
                )
            return path
        own = Path(sys.prefix).parent / ".env"
        candidates = (*(place / ".env" for place in (folder, *folder.parents)), own)
        found = next((path for path in candidates if path.is_file()), None)
        # Who can write into a folder above could otherwise choose where requests go. The owner of the
        # installation has chosen this program anyway.
        if (
            found
            and found.stat().st_uid not in {0, os.geteuid()}
            and not (own.exists() and found.samefile(own))
        ):
            raise InputError(
                f"{found} belongs to another account and is not used.",
                f"Set {ENV_FILE_VARIABLE}={found} if you trust it, or set {URL} and {KEY}.",
            )
    except (OSError, RuntimeError) as error:
        # RuntimeError: the home folder of ~name is not known.
        raise InputError(f"No .env can be looked up: {error}.", f"Set {URL} and {KEY}.") from error
    return found


def _read(file: Path) -> dict[str, str]:
    try:
        return read_env_file(file)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.", f"Set {URL} and {KEY}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8.", f"Save it as UTF-8, or set {URL} and {KEY}.") from error


def _has_address(values: Mapping[str, str]) -> bool:
    return any(values.get(name) for name in (URL, HOST, PORT))


def _address(values: Mapping[str, str]) -> str:
    if url := values.get(URL):
        return _checked(url)
    host = values.get(HOST, ports.DEFAULT_HOST)
    return _checked(f"http://{_ANY_ADDRESS.get(host, host)}:{values.get(PORT, ports.BACKEND)}")


def _key(values: Mapping[str, str]) -> str:
    key = values[KEY]
    if not (key.isascii() and key.isprintable()) or key != key.strip():
        raise InputError(f"{KEY} has characters that a key cannot have.", f"Copy {KEY} from .env again.")
    return key


def _require_same(wanted: str, belonging: str, two_sources: str) -> None:
    if _place(wanted) != _place(belonging):
        raise InputError(
            f"{two_sources}. No key is sent to an address of another source ({wanted}, not {belonging}).",
            f"Export {URL} and {KEY} together, or neither of them.",
        )


def _place(url: str) -> tuple[str, str, int | None, str]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return (
        parts.scheme,
        ports.DEFAULT_HOST if host == "localhost" else host,
        parts.port or default,
        parts.path,
    )


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        has_password = "@" in parts.netloc
        # A name that DNS cannot have.
        (parts.hostname or "").encode("idna")
    except ValueError:
        usable, has_password = False, "@" in url
    if has_password:
        # The address is not repeated: it holds a password.
        raise InputError("An address cannot hold a name or a password.", f"The API takes a key alone: {KEY}.")
    if not usable:
        example = f"http://{ports.DEFAULT_HOST}:{ports.BACKEND}"
        raise InputError(f"{url!r} is not an address.", f"Use one like {example}.")
    return url.rstrip("/")
