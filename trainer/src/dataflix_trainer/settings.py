"""Every setting of the trainer, read from the environment (and ``.env``) and checked at once."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import dotenv_values

from dataflix_trainer.errors import SettingsError

MAX_PORT = 65535
# Shorter tokens can be guessed; the first run writes longer ones.
MIN_TOKEN_LENGTH = 16
# implicit starts one thread per unit; more than the cores of a large machine is a typing mistake.
MAX_THREADS = 256
# The month within which the law (GDPR, article 12) wants an erasure answered.
RETENTION_DAYS = 30
MAX_RETENTION_DAYS = 3650


def environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return ``environ`` over the values of ``.env``, so that a person's shell needs no exports.

    The file is ``DATAFLIX_ENV_FILE``, or ``.env`` beside the virtual environment. What it does not set about
    ``DATAFLIX_HOME`` is the folder ``.dataflix`` beside it.
    """
    file = Path(environ.get("DATAFLIX_ENV_FILE") or Path(sys.prefix).parent / ".env").absolute()
    values = {"DATAFLIX_HOME": str(file.parent / ".dataflix")}
    if file.is_file():
        values |= {name: value for name, value in dotenv_values(file).items() if value}
    return values | dict(environ)


class _Reader:
    """Reads variables and collects what is wrong, so that one start shows every mistake."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._problems: list[str] = []

    def text(self, name: str, default: str) -> str:
        return self._environ.get(name, "").strip() or default

    def whole(self, name: str, default: int, *, high: int) -> int:
        text = self.text(name, str(default))
        if text.isascii() and text.isdecimal() and 1 <= int(text) <= high:
            return int(text)
        self._problems.append(f"{name} must be a whole number from 1 to {high}, not {text!r}")
        return default

    def secret(self, name: str, *, shortest: int = 1) -> str:
        value = self._environ.get(name, "")
        if len(value) < shortest:
            self._problems.append(f"{name} is not set" if not value else f"{name} is shorter than {shortest}")
        return value

    def check(self) -> None:
        if self._problems:
            raise SettingsError("; ".join(self._problems) + ". ./run.sh writes these settings into .env")


@dataclass(frozen=True, slots=True)
class ClickHouseSettings:
    """Where the warehouse is; we are its user ``trainer``."""

    host: str
    port: int
    password: str = field(repr=False)
    user: str = "trainer"

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "ClickHouseSettings":
        """Read and check; raises SettingsError."""
        read = _Reader(environ)
        settings = cls(
            host=read.text("DATAFLIX_CLICKHOUSE_HOST", "127.0.0.1"),
            port=read.whole("DATAFLIX_CLICKHOUSE_PORT", 8123, high=MAX_PORT),
            password=read.secret("DATAFLIX_CLICKHOUSE_TRAINER_PASSWORD"),
        )
        read.check()
        return settings


@dataclass(frozen=True, slots=True)
class MlflowSettings:
    """Where the registry is, and the name of our model in it."""

    host: str
    port: int
    model_name: str

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "MlflowSettings":
        """Read and check; raises SettingsError."""
        read = _Reader(environ)
        settings = cls(
            host=read.text("DATAFLIX_MLFLOW_HOST", "127.0.0.1"),
            port=read.whole("DATAFLIX_MLFLOW_PORT", 5003, high=MAX_PORT),
            model_name=read.text("DATAFLIX_MODEL_NAME", "dataflix-als"),
        )
        read.check()
        return settings


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Where files are exported to when the target is ``s3://``, and our own bucket there."""

    host: str
    port: int
    bucket: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "S3Settings":
        """Read and check; raises SettingsError."""
        read = _Reader(environ)
        settings = cls(
            host=read.text("DATAFLIX_S3_HOST", "127.0.0.1"),
            port=read.whole("DATAFLIX_S3_PORT", 9000, high=MAX_PORT),
            bucket=read.text("DATAFLIX_S3_BUCKET", "dataflix"),
            access_key=read.secret("DATAFLIX_S3_ACCESS_KEY"),
            secret_key=read.secret("DATAFLIX_S3_SECRET_KEY"),
        )
        read.check()
        return settings


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """What the job API needs."""

    host: str
    port: int
    home: Path
    token: str = field(repr=False)

    @property
    def jobs_dir(self) -> Path:
        """The folder of job states and logs."""
        return self.home / "trainer" / "jobs"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "ServeSettings":
        """Read and check; raises SettingsError."""
        read = _Reader(environ)
        settings = cls(
            host=read.text("DATAFLIX_TRAINER_HOST", "127.0.0.1"),
            port=read.whole("DATAFLIX_TRAINER_PORT", 5001, high=MAX_PORT),
            home=Path(read.text("DATAFLIX_HOME", ".dataflix")).expanduser().absolute(),
            token=read.secret("DATAFLIX_TRAINER_TOKEN", shortest=MIN_TOKEN_LENGTH),
        )
        read.check()
        return settings


def tuning_dir(environ: Mapping[str, str]) -> Path:
    """Return the folder in which studies of parameters are kept."""
    home = _Reader(environ).text("DATAFLIX_HOME", ".dataflix")
    return Path(home).expanduser().absolute() / "trainer" / "tuning"


def retention_days(environ: Mapping[str, str]) -> int:
    """Return ``DATAFLIX_RETENTION_DAYS``, for how long models and exports stay; raises SettingsError."""
    read = _Reader(environ)
    days = read.whole("DATAFLIX_RETENTION_DAYS", RETENTION_DAYS, high=MAX_RETENTION_DAYS)
    read.check()
    return days


def training_threads(environ: Mapping[str, str]) -> int:
    """Return ``DATAFLIX_TRAINER_THREADS``, by default the cores we may use; raises SettingsError."""
    read = _Reader(environ)
    threads = read.whole("DATAFLIX_TRAINER_THREADS", len(os.sched_getaffinity(0)), high=MAX_THREADS)
    read.check()
    return threads
