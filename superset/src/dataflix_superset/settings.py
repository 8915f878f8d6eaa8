"""Settings of the set-up that Superset's own configuration does not hold, from the environment."""

from collections.abc import Mapping
from urllib.parse import quote

from pydantic import Field

from dataflix_common import ports
from dataflix_common.settings import EnvironmentSettings, Port, Secret, SettingsError, Text
from dataflix_superset.errors import SetupError

# Superset's export format has this in place of a password. Without it an import deletes the password.
_MASK = "XXXXXXXXXX"


class Settings(EnvironmentSettings):
    """The administrator's password and the connection to the warehouse."""

    admin_password: Secret = Field(validation_alias="DATAFLIX_SUPERSET_ADMIN_PASSWORD")
    reader_password: Secret = Field(validation_alias="DATAFLIX_CLICKHOUSE_READER_PASSWORD")
    clickhouse_host: Text = Field(ports.DEFAULT_HOST, validation_alias="DATAFLIX_CLICKHOUSE_HOST")
    clickhouse_port: Port = Field(ports.CLICKHOUSE, validation_alias="DATAFLIX_CLICKHOUSE_PORT")

    @property
    def warehouse_uri(self) -> str:
        """SQLAlchemy address of ClickHouse for the user `reader`, with its password masked."""
        host = quote(self.clickhouse_host, safe="")
        return f"clickhousedb://reader:{_MASK}@{host}:{self.clickhouse_port}/analytics"


def from_environ(environ: Mapping[str, str]) -> Settings:
    """Return the checked settings.

    Raises:
        SetupError: a variable is missing or invalid; the message names it.
    """
    try:
        return Settings.from_environ(environ)
    except SettingsError as error:
        raise SetupError(f"{error} To put them into the environment: set -a; . ./.env; set +a") from None
