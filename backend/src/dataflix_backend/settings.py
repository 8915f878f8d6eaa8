"""Settings of the backend, read from environment variables and checked all at once."""

import re
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from dataflix_common import ports
from dataflix_common.env_file import HOME_VARIABLE
from dataflix_common.model_registry import DEFAULT_MODEL_NAME, PROMOTION_KEY_VARIABLE
from dataflix_common.settings import (
    AbsolutePath,
    EnvironmentSettings,
    Port,
    StrongSecret,
    Text,
    invalid,
    whole_number,
)

MAX_WORKERS = 64
MAX_THREADS = 64
# More than any machine answers in a minute.
MAX_RATE = 100_000_000
NO_ORIGINS = "none"

# Scheme, host and port, as browsers send them. No wildcards: they would open the API to every page.
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")


def _origins(value: str | tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(value, tuple):
        return value
    text = value.strip()
    origins = tuple(part.strip() for part in text.split(",")) if text != NO_ORIGINS else ()
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise invalid(
                f"must be {NO_ORIGINS!r} or origins like https://movies.example, separated by commas, "
                f"not {origin!r}"
            )
    return origins


Rate = Annotated[int, BeforeValidator(whole_number(0, MAX_RATE))]
Workers = Annotated[int, BeforeValidator(whole_number(1, MAX_WORKERS))]
Threads = Annotated[int, BeforeValidator(whole_number(1, MAX_THREADS))]
# NoDecode: the list is text with commas, not JSON.
Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)]


class HomeSettings(EnvironmentSettings):
    """The folder of all state files."""

    home: AbsolutePath = Field(
        default_factory=lambda: Path(".dataflix").absolute(), validation_alias=HOME_VARIABLE
    )

    @property
    def models_dir(self) -> Path:
        """The folder with the synchronised models and ``current.json``."""
        return self.home / "models"


class PostgresSettings(EnvironmentSettings):
    """Where the application's database is, and the role of the backend."""

    postgres_user: ClassVar[str] = "dataflix_backend"

    postgres_host: Text = Field(default=ports.DEFAULT_HOST, validation_alias="DATAFLIX_POSTGRES_HOST")
    postgres_port: Port = Field(default=ports.POSTGRES, validation_alias="DATAFLIX_POSTGRES_PORT")
    postgres_db: Text = Field(default="dataflix", validation_alias="DATAFLIX_POSTGRES_DB")
    postgres_password: StrongSecret = Field(validation_alias="DATAFLIX_POSTGRES_BACKEND_PASSWORD")


class Settings(HomeSettings, PostgresSettings):
    """What the API needs.

    Attributes:
        threads: threads of each worker, and the size of its connection pool.
        rate_limit: requests per minute of each ordinary key; 0 for no limit.
        admin_rate_limit: requests per minute of each admin key; 0 for no limit.
        cors_origins: origins whose pages may call the API from a browser.
    """

    host: Text = Field(default=ports.DEFAULT_HOST, validation_alias="DATAFLIX_BACKEND_HOST")
    port: Port = Field(default=ports.BACKEND, validation_alias="DATAFLIX_BACKEND_PORT")
    workers: Workers = Field(default=2, validation_alias="DATAFLIX_BACKEND_WORKERS")
    threads: Threads = Field(default=4, validation_alias="DATAFLIX_BACKEND_THREADS")
    api_key: StrongSecret = Field(validation_alias="DATAFLIX_API_KEY")
    rate_limit: Rate = Field(default=600, validation_alias="DATAFLIX_BACKEND_RATE_LIMIT")
    admin_rate_limit: Rate = Field(default=0, validation_alias="DATAFLIX_BACKEND_ADMIN_RATE_LIMIT")
    cors_origins: Origins = Field(default=(), validation_alias="DATAFLIX_BACKEND_CORS_ORIGINS")

    @property
    def key_cache_file(self) -> Path:
        """The file with the valid keys, for workers that start while Postgres is away."""
        return self.home / "backend" / "known-keys.json"

    @property
    def counts(self) -> Path:
        """The file in which the workers count the requests of each key."""
        return self.home / "backend" / "counts"

    @property
    def erased_users(self) -> Path:
        """The file through which the workers tell each other who was erased."""
        return self.home / "backend" / "erased-users"

    @property
    def source_file(self) -> Path:
        """The file that says what our tables are a copy of, for workers that start while Postgres is away."""
        return self.home / "backend" / "source.json"

    @property
    def source_items_file(self) -> Path:
        """The file with the ids of the source's items, for the same workers."""
        return self.home / "backend" / "source-items.json"

    @property
    def metrics_dir(self) -> Path:
        """The folder through which the workers share their Prometheus metrics."""
        return self.home / "backend" / "metrics"


class SyncSettings(HomeSettings):
    """What the model synchroniser needs."""

    mlflow_host: Text = Field(default=ports.DEFAULT_HOST, validation_alias="DATAFLIX_MLFLOW_HOST")
    mlflow_port: Port = Field(default=ports.MLFLOW, validation_alias="DATAFLIX_MLFLOW_PORT")
    model_name: Text = Field(default=DEFAULT_MODEL_NAME, validation_alias="DATAFLIX_MODEL_NAME")
    promotion_key: StrongSecret = Field(validation_alias=PROMOTION_KEY_VARIABLE)

    @property
    def tracking_uri(self) -> str:
        """The address of MLflow."""
        return f"http://{self.mlflow_host}:{self.mlflow_port}"
