"""Every setting of the backend, read from the environment and checked at once."""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from dotenv import dotenv_values

# Shorter keys can be guessed; the first run writes one of 64 characters.
MIN_SECRET_LENGTH = 16
MAX_PORT = 65535
MAX_WORKERS = 64
MAX_THREADS = 64
# More than any machine answers in a minute.
MAX_RATE = 100_000_000
NO_ORIGINS = "none"

# Scheme, host and port, as browsers send them; a wildcard would open the API to every page there is.
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")


def with_env_file(environ: Mapping[str, str]) -> dict[str, str]:
    """Return ``environ`` over the values of ``.env``, so that a person's shell needs no exports.

    The file is ``DATAFLIX_ENV_FILE``, or ``.env`` beside the virtual environment.
    """
    file = Path(environ.get("DATAFLIX_ENV_FILE") or Path(sys.prefix).parent / ".env").absolute()
    values = dotenv_values(file) if file.is_file() else {}
    return {name: value for name, value in values.items() if value} | dict(environ)


class SettingsError(ValueError):
    """One or more environment variables are missing or wrong; the message names each."""


class _Reader:
    """Reads variables and collects what is wrong, so that one start shows every mistake."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._problems: list[str] = []

    def text(self, name: str, default: str) -> str:
        return self._environ.get(name, "").strip() or default

    def whole(self, name: str, default: int, *, high: int, low: int = 1) -> int:
        text = self.text(name, str(default))
        if text.isascii() and text.isdecimal() and low <= int(text) <= high:
            return int(text)
        self._problems.append(f"{name} must be a whole number from {low} to {high}, not {text!r}")
        return default

    def origins(self, name: str) -> tuple[str, ...]:
        text = self.text(name, NO_ORIGINS)
        origins = tuple(part.strip() for part in text.split(",")) if text != NO_ORIGINS else ()
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                self._problems.append(
                    f"{name} must be {NO_ORIGINS!r} or origins like https://films.example, separated by "
                    f"commas, not {origin!r}"
                )
        return origins

    def secret(self, name: str) -> str:
        value = self._environ.get(name, "")
        if not value:
            self._problems.append(f"{name} is not set")
        elif len(value) < MIN_SECRET_LENGTH or not value.isprintable() or " " in value:
            self._problems.append(f"{name} must have at least {MIN_SECRET_LENGTH} characters and no blanks")
        return value

    def home(self) -> Path:
        return Path(self.text("DATAFLIX_HOME", ".dataflix")).expanduser().absolute()

    def postgres(self) -> "PostgresSettings":
        return PostgresSettings(
            host=self.text("DATAFLIX_POSTGRES_HOST", "127.0.0.1"),
            port=self.whole("DATAFLIX_POSTGRES_PORT", 5432, high=MAX_PORT),
            dbname=self.text("DATAFLIX_POSTGRES_DB", "dataflix"),
            password=self.secret("DATAFLIX_POSTGRES_BACKEND_PASSWORD"),
        )

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

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read and check; raises SettingsError naming every variable that is wrong."""
        read = _Reader(environ)
        found = read.postgres()
        read.check()
        return cls(found.host, found.port, found.dbname, found.password)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the API needs; ``threads`` are per worker and so is the size of the connection pool.

    ``rate_limit`` and ``admin_rate_limit`` are requests a minute for each key, 0 for no limit.
    """

    home: Path
    host: str
    port: int
    workers: int
    threads: int
    api_key: str = field(repr=False)
    rate_limit: int
    admin_rate_limit: int
    cors_origins: tuple[str, ...]
    postgres: PostgresSettings

    @property
    def models_dir(self) -> Path:
        """The folder that holds the synchronised models and ``current.json``."""
        return self.home / "models"

    @property
    def known_keys(self) -> Path:
        """The file in which workers leave which keys are good, for those born while Postgres is away."""
        return self.home / "backend" / "known-keys.json"

    @property
    def counts(self) -> Path:
        """The file in which workers count together how often each key asks."""
        return self.home / "backend" / "counts"

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
            rate_limit=read.whole("DATAFLIX_BACKEND_RATE_LIMIT", 600, low=0, high=MAX_RATE),
            admin_rate_limit=read.whole("DATAFLIX_BACKEND_ADMIN_RATE_LIMIT", 0, low=0, high=MAX_RATE),
            cors_origins=read.origins("DATAFLIX_BACKEND_CORS_ORIGINS"),
            postgres=read.postgres(),
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
