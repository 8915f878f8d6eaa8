"""The settings of the server, from the environment and the command line."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field, create_model

from dataflix_clickhouse.access.accounts import ACCOUNTS
from dataflix_clickhouse.errors import StartupError
from dataflix_common import ports
from dataflix_common.env_file import HOME_VARIABLE
from dataflix_common.settings import EnvironmentSettings, Port, Secret, Text

_HOST_VARIABLE = "DATAFLIX_CLICKHOUSE_HOST"
_PORT_VARIABLE = "DATAFLIX_CLICKHOUSE_PORT"


class _Address(EnvironmentSettings):
    host: Text = Field(default=ports.DEFAULT_HOST, validation_alias=_HOST_VARIABLE)
    port: Port = Field(default=ports.CLICKHOUSE, validation_alias=_PORT_VARIABLE)


# One password for each account, in the variable that the account names.
_password_fields: dict[str, Any] = {
    account.name: (Secret, Field(validation_alias=account.password_variable)) for account in ACCOUNTS
}
_Environment = create_model("_Environment", __base__=_Address, **_password_fields)


@dataclass(frozen=True)
class Settings:
    """The settings of the server.

    Attributes:
        init_dir: the folder of SQL files to run at the start, if there is one.
        passwords: the password of each account; not in the representation, so that no log can show it.
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
    """Read the settings from the environment; arguments override it.

    Raises:
        SettingsError: environment variables are missing or invalid; the message names them.
        StartupError: there is no data folder, or the init folder does not exist.
    """
    if data_dir is None:
        if not environ.get(HOME_VARIABLE):
            raise StartupError(f"no data folder: pass --path, or set {HOME_VARIABLE}")
        data_dir = Path(environ[HOME_VARIABLE]) / "clickhouse"
    if init_dir is not None and not init_dir.is_dir():
        raise StartupError(f"--init {init_dir} is not a folder")
    arguments = {_HOST_VARIABLE: host, _PORT_VARIABLE: None if port is None else str(port)}
    values = _Environment.from_environ(
        {**environ, **{name: value for name, value in arguments.items() if value is not None}}
    )
    return Settings(
        data_dir=data_dir.expanduser().resolve(),
        init_dir=None if init_dir is None else init_dir.resolve(),
        host=values.host,
        port=values.port,
        passwords={account.name: getattr(values, account.name) for account in ACCOUNTS},
    )
