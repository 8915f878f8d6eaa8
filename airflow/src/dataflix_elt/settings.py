"""Settings of the ELT: read from the environment and checked all at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field

from dataflix_common import ports
from dataflix_common.settings import (
    EnvironmentSettings,
    ExistingFolder,
    Port,
    Secret,
    Text,
)
from dataflix_common.settings import SettingsError as InvalidEnvironmentError
from dataflix_elt.errors import SettingsError


class _EltSettings(EnvironmentSettings):
    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the variables of this class and check them.

        Raises:
            SettingsError: at least one is missing or wrong.
        """
        try:
            return super().from_environ(environ)
        except InvalidEnvironmentError as error:
            raise SettingsError(str(error)) from None


class SourceSettings(_EltSettings):
    """Where the application's database is, and the role that may read the masked views."""

    user: ClassVar[str] = "elt_reader"

    host: Text = Field(default=ports.DEFAULT_HOST, validation_alias="DATAFLIX_POSTGRES_HOST")
    port: Port = Field(default=ports.POSTGRES, validation_alias="DATAFLIX_POSTGRES_PORT")
    dbname: Text = Field(default="dataflix", validation_alias="DATAFLIX_POSTGRES_DB")
    password: Secret = Field(validation_alias="DATAFLIX_POSTGRES_ELT_PASSWORD")


class WarehouseSettings(_EltSettings):
    """Where ClickHouse is, and the user that writes database `raw`."""

    user: ClassVar[str] = "elt_writer"
    database: ClassVar[str] = "raw"

    host: Text = Field(default=ports.DEFAULT_HOST, validation_alias="DATAFLIX_CLICKHOUSE_HOST")
    port: Port = Field(default=ports.CLICKHOUSE, validation_alias="DATAFLIX_CLICKHOUSE_PORT")
    password: Secret = Field(validation_alias="DATAFLIX_CLICKHOUSE_ELT_PASSWORD")


class TrainerSettings(_EltSettings):
    """Where the trainer's job API is, and its bearer token."""

    host: Text = Field(default=ports.DEFAULT_HOST, validation_alias="DATAFLIX_TRAINER_HOST")
    port: Port = Field(default=ports.TRAINER, validation_alias="DATAFLIX_TRAINER_PORT")
    token: Secret = Field(validation_alias="DATAFLIX_TRAINER_TOKEN")

    @property
    def url(self) -> str:
        """Address of the API, without a slash at the end."""
        return f"http://{self.host}:{self.port}"


class DbtSettings(_EltSettings):
    """Where the dbt project is, and where dbt may write.

    Attributes:
        project: folder of the project; it may be read-only.
        target_folder: where dbt writes, or None for the folder `target` of the project.
    """

    project: ExistingFolder = Field(validation_alias="DATAFLIX_DBT_PROJECT_DIR")
    target_folder: Path | None = Field(default=None, validation_alias="DATAFLIX_DBT_TARGET_DIR")

    @property
    def target(self) -> Path:
        """The folder that dbt writes to."""
        return self.target_folder or self.project / "target"


class WarehouseFilesSettings(_EltSettings):
    """Where ClickHouse's files are, if they are on this machine."""

    data_folder: ExistingFolder | None = Field(default=None, validation_alias="DATAFLIX_CLICKHOUSE_DATA_DIR")
    home: Path | None = Field(default=None, validation_alias="DATAFLIX_HOME")

    @property
    def folder(self) -> Path | None:
        """ClickHouse's data folder; None when it is on another machine."""
        if self.data_folder:
            return self.data_folder
        embedded = self.home / "clickhouse" if self.home else None
        return embedded if embedded and embedded.is_dir() else None
