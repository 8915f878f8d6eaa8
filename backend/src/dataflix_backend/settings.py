"""Every setting of the backend, read from the environment and checked at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

# Shorter keys can be guessed; the first run writes one of 64 characters.
MIN_SECRET_LENGTH = 16
MAX_PORT = 65535
MAX_WORKERS = 64
MAX_THREADS = 64


class SettingsError(ValueError):
    """One or more environment variables are missing or wrong; the message names each."""


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

    def secret(self, name: str) -> str:
        value = self._environ.get(name, "")
        if not value:
            self._problems.append(f"{name} is not set")
        elif len(value) < MIN_SECRET_LENGTH or not value.isprintable() or " " in value:
            self._problems.append(f"{name} must have at least {MIN_SECRET_LENGTH} characters and no blanks")
        return value

    def home(self) -> Path:
        return Path(self.text("DATAFLIX_HOME", ".dataflix")).expanduser().absolute()

    def check(self) -> None:
        if self._problems:
            raise SettingsError(
                "; ".join(self._problems) + ". Settings come from .env, which ./run.sh writes."
            )


@dataclass(frozen=True, slots=True)
class PostgresSettings:
    """Where the application's database is, and the role we use."""

    host: str
    port: int
    dbname: str
    password: str = field(repr=False)
    user: str = "dataflix_backend"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the API needs; ``threads`` are per worker and so is the size of the connection pool."""

    home: Path
    host: str
    port: int
    workers: int
    threads: int
    api_key: str = field(repr=False)
    postgres: PostgresSettings

    @property
    def models_dir(self) -> Path:
        """The folder that holds the synchronised models and ``current.json``."""
        return self.home / "models"

    @property
    def metrics_dir(self) -> Path:
        """The folder through which the workers share their Prometheus metrics."""
        return self.home / "backend" / "metrics"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read and check; raises SettingsError naming every variable that is wrong."""
        read = _Reader(environ)
        settings = cls(
            home=read.home(),
            host=read.text("DATAFLIX_BACKEND_HOST", "127.0.0.1"),
            port=read.whole("DATAFLIX_BACKEND_PORT", 5002, high=MAX_PORT),
            workers=read.whole("DATAFLIX_BACKEND_WORKERS", 2, high=MAX_WORKERS),
            threads=read.whole("DATAFLIX_BACKEND_THREADS", 4, high=MAX_THREADS),
            api_key=read.secret("DATAFLIX_API_KEY"),
            postgres=PostgresSettings(
                host=read.text("DATAFLIX_POSTGRES_HOST", "127.0.0.1"),
                port=read.whole("DATAFLIX_POSTGRES_PORT", 5432, high=MAX_PORT),
                dbname=read.text("DATAFLIX_POSTGRES_DB", "dataflix"),
                password=read.secret("DATAFLIX_POSTGRES_BACKEND_PASSWORD"),
            ),
        )
        read.check()
        return settings


@dataclass(frozen=True, slots=True)
class SyncSettings:
    """What the model synchroniser needs."""

    home: Path
    tracking_uri: str
    model_name: str

    @property
    def models_dir(self) -> Path:
        """The folder that holds the synchronised models and ``current.json``."""
        return self.home / "models"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read and check; raises SettingsError naming every variable that is wrong."""
        read = _Reader(environ)
        host = read.text("DATAFLIX_MLFLOW_HOST", "127.0.0.1")
        port = read.whole("DATAFLIX_MLFLOW_PORT", 5003, high=MAX_PORT)
        settings = cls(
            home=read.home(),
            tracking_uri=f"http://{host}:{port}",
            model_name=read.text("DATAFLIX_MODEL_NAME", "dataflix-als"),
        )
        read.check()
        return settings
