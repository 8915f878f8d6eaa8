"""Settings: where the source is, and where our own Postgres is."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from dataflix_common import ports
from dataflix_common.env_file import env_file_path, read_env_file
from dataflix_common.settings import EnvironmentSettings, Port, Secret, SettingsError, Text, invalid
from dataflix_source.errors import DatabaseError

# The folder that holds .venv.
ROOT = Path(sys.prefix).parent

_LOCAL_HOSTS = ("127.0.0.1", "::1", "localhost")
_SSL_MODES = ("disable", "prefer", "require", "verify-ca", "verify-full")
VERIFIED = ("verify-ca", "verify-full")
# Our role in our own Postgres; postgres/init gives it its rights.
COPIER = "dataflix_copier"
DESCRIPTION_FILE = Path("dataflix.yml")


def _sslmode(value: Any) -> str:
    text = str(value).strip()
    if text not in _SSL_MODES:
        raise invalid(f"must be one of {', '.join(_SSL_MODES)}, not {text!r}")
    return text


def _readable_file(path: Path) -> Path:
    if not path.is_file() or not os.access(path, os.R_OK):
        raise invalid(f"is not a file that can be read: {path}")
    return path


class SourceSettings(EnvironmentSettings):
    """Where the application's database is.

    Attributes:
        sslmode: as libpq calls it; on another machine the certificate is verified by default.
        root_certificate: who may have signed the server's certificate; by default the system's authorities.
    """

    host: Text = Field(validation_alias="DATAFLIX_SOURCE_HOST")
    port: Port = Field(ports.POSTGRES, validation_alias="DATAFLIX_SOURCE_PORT")
    dbname: Text = Field(validation_alias="DATAFLIX_SOURCE_DB")
    user: Text = Field(validation_alias="DATAFLIX_SOURCE_USER")
    password: Secret = Field("", validation_alias="DATAFLIX_SOURCE_PASSWORD")
    sslmode: Annotated[str, BeforeValidator(_sslmode)] = Field(
        default="", validation_alias="DATAFLIX_SOURCE_SSLMODE"
    )
    root_certificate: Annotated[Path, AfterValidator(_readable_file)] | None = Field(
        default=None, validation_alias="DATAFLIX_SOURCE_SSLROOTCERT"
    )

    @model_validator(mode="before")
    @classmethod
    def _verified_on_other_machines(cls, values: dict[str, Any]) -> dict[str, Any]:
        name = "DATAFLIX_SOURCE_SSLMODE"
        host = str(values.get("DATAFLIX_SOURCE_HOST") or values.get("host") or "").strip()
        default = "prefer" if host in _LOCAL_HOSTS else "verify-full"
        return values if values.get(name) or values.get("sslmode") else {**values, name: default}

    @property
    def address(self) -> str:
        """How messages name it."""
        return f"{self.dbname} on {self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether the connection leaves this machine."""
        return self.host in _LOCAL_HOSTS


class OwnSettings(EnvironmentSettings):
    """Where our own Postgres is."""

    host: Text = Field(ports.DEFAULT_HOST, validation_alias="DATAFLIX_POSTGRES_HOST")
    port: Port = Field(ports.POSTGRES, validation_alias="DATAFLIX_POSTGRES_PORT")
    dbname: Text = Field("dataflix", validation_alias="DATAFLIX_POSTGRES_DB")
    copier_password: Secret = Field(validation_alias="DATAFLIX_POSTGRES_COPIER_PASSWORD")

    def as_source(self) -> SourceSettings:
        """Return our own Postgres as a source to look at, for a description of `kind: ours`."""
        return SourceSettings(
            host=self.host,
            port=self.port,
            dbname=self.dbname,
            user=COPIER,
            password=self.copier_password,
            sslmode="prefer",
        )

    @property
    def address(self) -> str:
        """How messages name it."""
        return f"{self.dbname} on {self.host}:{self.port}"


def _environ(environ: Mapping[str, str]) -> dict[str, str]:
    try:
        return read_env_file(env_file_path(environ)) | dict(environ)
    except (OSError, UnicodeDecodeError) as error:
        raise DatabaseError(f"{env_file_path(environ)} can't be read: {error}.") from error


def load_source(environ: Mapping[str, str] = os.environ) -> SourceSettings:
    """Read where the source is. A variable of `environ` replaces the one of `.env`.

    Raises:
        DatabaseError: a setting is missing or wrong.
    """
    try:
        return SourceSettings.from_environ(_environ(environ))
    except SettingsError as error:
        raise DatabaseError(
            str(error).replace("Settings come from .env, which ./run.sh writes.", "Write them into .env.")
        ) from None


def load_description_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the description that the stack uses; before there is one, the one of the current folder.

    Raises:
        DatabaseError: `.env` can't be read.
    """
    return Path(_environ(environ).get("DATAFLIX_SOURCE_FILE") or DESCRIPTION_FILE)


def load_own(environ: Mapping[str, str] = os.environ) -> OwnSettings:
    """Read where our own Postgres is. A variable of `environ` replaces the one of `.env`.

    Raises:
        DatabaseError: a setting is missing or wrong.
    """
    try:
        return OwnSettings.from_environ(_environ(environ))
    except SettingsError as error:
        raise DatabaseError(str(error)) from None
