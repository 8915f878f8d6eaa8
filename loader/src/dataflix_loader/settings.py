"""Settings of the data loaders: from the environment, else from `.env`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from dataflix_loader.errors import DatabaseError

ROOT = Path(__file__).resolve().parents[3]

_MAX_PORT = 65535


@dataclass(frozen=True)
class Settings:
    """Where the application's Postgres is, and where the stack keeps its state."""

    host: str
    port: int
    dbname: str
    admin_password: str
    """Password of the role postgres, which steps down to the tables' owner at once."""
    home: Path
    """Folder of the stack's state; import manifests lie below it."""


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings; what `environ` has wins over `.env` (moved by DATAFLIX_ENV_FILE).

    Raises:
        DatabaseError: a setting is missing or not usable.
    """
    env_file = Path(environ.get("DATAFLIX_ENV_FILE") or ROOT / ".env")
    values = {**{name: value for name, value in dotenv_values(env_file).items() if value}, **environ}
    password = values.get("DATAFLIX_POSTGRES_ADMIN_PASSWORD")
    if not password:
        raise DatabaseError(
            f"DATAFLIX_POSTGRES_ADMIN_PASSWORD is set neither in the environment nor in {env_file}; "
            "./run.sh writes that file on its first run."
        )
    port = values.get("DATAFLIX_POSTGRES_PORT") or "5432"
    if not port.isascii() or not port.isdecimal() or not 1 <= int(port) <= _MAX_PORT:
        raise DatabaseError(f"DATAFLIX_POSTGRES_PORT must be a port from 1 to {_MAX_PORT}; it is {port!r}.")
    return Settings(
        host=values.get("DATAFLIX_POSTGRES_HOST") or "127.0.0.1",
        port=int(port),
        dbname=values.get("DATAFLIX_POSTGRES_DB") or "dataflix",
        admin_password=password,
        home=Path(values.get("DATAFLIX_HOME") or ROOT / ".dataflix"),
    )
