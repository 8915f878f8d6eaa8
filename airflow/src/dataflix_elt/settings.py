"""Every setting of the ELT, read from the environment and checked at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from dataflix_elt.errors import SettingsError

_MAX_PORT = 65535


class _Reader:
    """Reads variables and collects what is wrong, so that one start shows every mistake."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._problems: list[str] = []

    def text(self, name: str, default: str) -> str:
        return self._environ.get(name) or default

    def port(self, name: str, default: int) -> int:
        text = self.text(name, str(default))
        if text.isascii() and text.isdecimal() and 1 <= int(text) <= _MAX_PORT:
            return int(text)
        self._problems.append(f"{name} must be a port from 1 to {_MAX_PORT}, not {text!r}")
        return default

    def secret(self, name: str) -> str:
        value = self._environ.get(name, "")
        if not value:
            self._problems.append(f"{name} is not set")
        return value

    def folder(self, name: str) -> Path:
        value = self._environ.get(name, "")
        if not value:
            self._problems.append(f"{name} is not set")
        elif not Path(value).is_dir():
            self._problems.append(f"{name} names no folder: {value}")
        return Path(value)

    def check(self) -> None:
        """Raise what was found.

        Raises:
            SettingsError: something was.
        """
        if self._problems:
            problems = "; ".join(self._problems)
            raise SettingsError(f"{problems}. Settings come from .env, which ./run.sh writes.")


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Where the application's database is, and the role that may read the masked views."""

    host: str
    port: int
    dbname: str
    password: str = field(repr=False)
    user: str = "elt_reader"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read and check the variables.

        Raises:
            SettingsError: one is missing or wrong.
        """
        read = _Reader(environ)
        settings = cls(
            host=read.text("DATAFLIX_POSTGRES_HOST", "127.0.0.1"),
            port=read.port("DATAFLIX_POSTGRES_PORT", 5432),
            dbname=read.text("DATAFLIX_POSTGRES_DB", "dataflix"),
            password=read.secret("DATAFLIX_POSTGRES_ELT_PASSWORD"),
        )
        read.check()
        return settings


@dataclass(frozen=True, slots=True)
class WarehouseSettings:
    """Where ClickHouse is, and the user that writes database `raw`."""

    host: str
    port: int
    password: str = field(repr=False)
    user: str = "elt_writer"
    database: str = "raw"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read and check the variables.

        Raises:
            SettingsError: one is missing or wrong.
        """
        read = _Reader(environ)
        settings = cls(
            host=read.text("DATAFLIX_CLICKHOUSE_HOST", "127.0.0.1"),
            port=read.port("DATAFLIX_CLICKHOUSE_PORT", 8123),
            password=read.secret("DATAFLIX_CLICKHOUSE_ELT_PASSWORD"),
        )
        read.check()
        return settings


def warehouse_folder(environ: Mapping[str, str]) -> Path | None:
    """Return ClickHouse's data folder; None when it is not on this machine.

    Raises:
        SettingsError: DATAFLIX_CLICKHOUSE_DATA_DIR names no folder.
    """
    if environ.get("DATAFLIX_CLICKHOUSE_DATA_DIR"):
        read = _Reader(environ)
        folder = read.folder("DATAFLIX_CLICKHOUSE_DATA_DIR")
        read.check()
        return folder
    home = environ.get("DATAFLIX_HOME", "")
    beside = Path(home) / "clickhouse"
    return beside if home and beside.is_dir() else None


@dataclass(frozen=True, slots=True)
class TrainerSettings:
    """Where the trainer's job API is, and its bearer token."""

    host: str
    port: int
    token: str = field(repr=False)

    @property
    def url(self) -> str:
        """Address of the API, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read and check the variables.

        Raises:
            SettingsError: one is missing or wrong.
        """
        read = _Reader(environ)
        settings = cls(
            host=read.text("DATAFLIX_TRAINER_HOST", "127.0.0.1"),
            port=read.port("DATAFLIX_TRAINER_PORT", 5001),
            token=read.secret("DATAFLIX_TRAINER_TOKEN"),
        )
        read.check()
        return settings


@dataclass(frozen=True, slots=True)
class DbtSettings:
    """Where the dbt project lies, and where dbt may write.

    `target` must be writable; the project need not be.
    """

    project: Path
    target: Path

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read and check the variables.

        Raises:
            SettingsError: one is missing or wrong.
        """
        read = _Reader(environ)
        project = read.folder("DATAFLIX_DBT_PROJECT_DIR")
        settings = cls(
            project=project, target=Path(read.text("DATAFLIX_DBT_TARGET_DIR", str(project / "target")))
        )
        read.check()
        return settings
