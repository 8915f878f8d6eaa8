"""What the set-up needs to know beyond Superset's own configuration, from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from dataflix_superset.errors import SetupError

_MAX_PORT = 65535

# What Superset's export format writes in a password's place; without it an import forgets the password.
_MASK = "XXXXXXXXXX"


@dataclass(frozen=True)
class Settings:
    """The administrator's password and the way to the warehouse.

    Attributes:
        warehouse_uri: SQLAlchemy address of ClickHouse for the user `reader`, its password masked.
    """

    admin_password: str
    warehouse_uri: str
    reader_password: str


def from_environ(environ: Mapping[str, str]) -> Settings:
    """Return the checked settings.

    Raises:
        SetupError: a variable is missing or not usable; the message names it.
    """
    host = environ.get("DATAFLIX_CLICKHOUSE_HOST", "127.0.0.1")
    port = environ.get("DATAFLIX_CLICKHOUSE_PORT", "8123")
    if not (port.isdecimal() and 1 <= int(port) <= _MAX_PORT):
        raise SetupError(
            f"DATAFLIX_CLICKHOUSE_PORT must be a whole number from 1 to {_MAX_PORT}; it is {port!r}."
        )
    return Settings(
        admin_password=_required(environ, "DATAFLIX_SUPERSET_ADMIN_PASSWORD"),
        warehouse_uri=f"clickhousedb://reader:{_MASK}@{quote(host, safe='')}:{port}/analytics",
        reader_password=_required(environ, "DATAFLIX_CLICKHOUSE_READER_PASSWORD"),
    )


def _required(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "")
    if not value:
        raise SetupError(f"{name} is not set; run.sh writes it to .env (set -a; . ./.env; set +a).")
    return value
