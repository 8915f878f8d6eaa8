"""What the server is told by the environment and the command line, checked before anything starts."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dataflix_clickhouse.errors import SettingsError
from dataflix_clickhouse.users import ACCOUNTS

DEFAULT_HOST = "127.0.0.1"
# ClickHouse's own HTTP port, so that clients need no setting.
DEFAULT_PORT = 8123
MAX_PORT = 65535


@dataclass(frozen=True)
class Settings:
    """The server's settings.

    `passwords` maps every account's name to its password; it stays out of the representation, so that no log
    line can carry one.
    """

    data_dir: Path
    init_dir: Path | None
    host: str
    port: int
    passwords: Mapping[str, str] = field(repr=False)


def load(
    environ: Mapping[str, str] = os.environ,
    *,
    data_dir: Path | None = None,
    init_dir: Path | None = None,
    host: str | None = None,
    port: int | None = None,
) -> Settings:
    """Read the settings from the environment; arguments that are given win.

    Raises:
        SettingsError: a variable is missing or has a value that cannot be used; the message names it.
    """
    home = environ.get("DATAFLIX_HOME")
    if data_dir is None:
        if not home:
            raise SettingsError("no data folder: give --path, or set DATAFLIX_HOME")
        data_dir = Path(home) / "clickhouse"
    return Settings(
        data_dir=data_dir.expanduser().resolve(),
        init_dir=None if init_dir is None else _folder(init_dir),
        host=host or environ.get("DATAFLIX_CLICKHOUSE_HOST") or DEFAULT_HOST,
        port=_port(environ) if port is None else port,
        passwords={account.name: _password(environ, account.password_variable) for account in ACCOUNTS},
    )


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise SettingsError(f"--init {path} is not a folder")
    return path.resolve()


def _port(environ: Mapping[str, str]) -> int:
    text = environ.get("DATAFLIX_CLICKHOUSE_PORT") or str(DEFAULT_PORT)
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= MAX_PORT:
        raise SettingsError(f"DATAFLIX_CLICKHOUSE_PORT must be a port from 1 to {MAX_PORT}, not {text!r}")
    return int(text)


def _password(environ: Mapping[str, str], variable: str) -> str:
    password = environ.get(variable, "")
    if not password:
        raise SettingsError(f"{variable} is not set: every account needs a password, and none has a default")
    return password
