"""Settings of the loaders: from the environment, else from `.env`."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from dataflix_common import ports
from dataflix_common.env_file import HOME_VARIABLE, env_file_path, read_env_file
from dataflix_common.settings import EnvironmentSettings, Port, Secret, SettingsError, Text, invalid
from dataflix_loader.errors import DatabaseError

# The folder that holds .venv.
ROOT = Path(sys.prefix).parent


def _scale(value: Any) -> int:
    if str(value).strip() not in ("5", "10"):
        raise invalid(f"must be 5 or 10, not {value!r}")
    return int(value)


class Settings(EnvironmentSettings):
    """Where the application's Postgres is, and where the stack keeps its state.

    Attributes:
        admin_password: password of the role postgres. The loaders switch to the tables' owner at once.
        rating_scale: the highest rating in MovieLens files, 5 or 10.
        home: folder of the stack's state; import manifests are in its folder `imports`.
    """

    host: Text = Field(ports.DEFAULT_HOST, validation_alias="DATAFLIX_POSTGRES_HOST")
    port: Port = Field(ports.POSTGRES, validation_alias="DATAFLIX_POSTGRES_PORT")
    dbname: Text = Field("dataflix", validation_alias="DATAFLIX_POSTGRES_DB")
    admin_password: Secret = Field(validation_alias="DATAFLIX_POSTGRES_ADMIN_PASSWORD")
    rating_scale: Annotated[int, BeforeValidator(_scale)] = Field(5, validation_alias="DATAFLIX_RATING_SCALE")
    home: Path = Field(ROOT / ".dataflix", validation_alias=HOME_VARIABLE)


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings. A variable of `environ` replaces the one of `.env`.

    Raises:
        DatabaseError: a setting is missing or invalid.
    """
    try:
        return Settings.from_environ(read_env_file(env_file_path(environ)) | dict(environ))
    except SettingsError as error:
        raise DatabaseError(str(error)) from None
    except UnicodeDecodeError as error:
        raise DatabaseError(f"{env_file_path(environ)} is not UTF-8. Save the file as UTF-8.") from error
    except OSError as error:
        raise DatabaseError(f"{env_file_path(environ)} can't be read: {error.strerror}.") from error
