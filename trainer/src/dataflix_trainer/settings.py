"""Every setting of the trainer. Each command reads those that it needs, from the environment and ``.env``."""

import os
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field

from dataflix_common import ports
from dataflix_common.env_file import HOME_VARIABLE, env_file_path, with_env_file
from dataflix_common.model_registry import DEFAULT_MODEL_NAME, PROMOTION_KEY_VARIABLE
from dataflix_common.settings import (
    MIN_SECRET_LENGTH,
    AbsolutePath,
    EnvironmentSettings,
    Port,
    Secret,
    SettingsError,
    StrongSecret,
    Text,
    secret_of,
    whole_number,
)

# implicit starts one thread per unit; more than the cores of a large machine is a typing mistake.
MAX_THREADS = 256
# The month within which the GDPR (article 12) wants an erasure answered.
RETENTION_DAYS = 30
MAX_RETENTION_DAYS = 3650


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def read_environment() -> dict[str, str]:
    """Return the environment on top of ``.env``.

    Raises:
        SettingsError: the file cannot be read.
    """
    try:
        return with_env_file()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"{env_file_path()} cannot be read: {reason}") from error


class ClickHouseSettings(EnvironmentSettings):
    """Where the warehouse is; the trainer is its user ``trainer``."""

    user: ClassVar[str] = "trainer"
    host: Text = Field(default=ports.DEFAULT_HOST, validation_alias="DATAFLIX_CLICKHOUSE_HOST")
    port: Port = Field(default=ports.CLICKHOUSE, validation_alias="DATAFLIX_CLICKHOUSE_PORT")
    password: Secret = Field(validation_alias="DATAFLIX_CLICKHOUSE_TRAINER_PASSWORD")

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"


class MlflowSettings(EnvironmentSettings):
    """Where the registry is, and the name of the registered model."""

    home: AbsolutePath = Field(validation_alias=HOME_VARIABLE)
    host: Text = Field(default=ports.DEFAULT_HOST, validation_alias="DATAFLIX_MLFLOW_HOST")
    port: Port = Field(default=ports.MLFLOW, validation_alias="DATAFLIX_MLFLOW_PORT")
    registered_model_name: Text = Field(default=DEFAULT_MODEL_NAME, validation_alias="DATAFLIX_MODEL_NAME")
    # Only promotion and rollback need it.
    promotion_key: Annotated[str, AfterValidator(secret_of(MIN_SECRET_LENGTH))] | None = Field(
        default=None, repr=False, validation_alias=PROMOTION_KEY_VARIABLE
    )

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"

    @property
    def promotion_lock(self) -> Path:
        """The lock of the command that decides which version serves."""
        return self.home / "trainer" / "promotion.lock"


class S3Settings(EnvironmentSettings):
    """Where files are exported to when the target is ``s3://``, and Dataflix's own bucket there."""

    host: Text = Field(default=ports.DEFAULT_HOST, validation_alias="DATAFLIX_S3_HOST")
    port: Port = Field(default=ports.S3, validation_alias="DATAFLIX_S3_PORT")
    bucket: Text = Field(default="dataflix", validation_alias="DATAFLIX_S3_BUCKET")
    access_key: Secret = Field(validation_alias="DATAFLIX_S3_ACCESS_KEY")
    secret_key: Secret = Field(validation_alias="DATAFLIX_S3_SECRET_KEY")

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"


class JobServerSettings(EnvironmentSettings):
    """What the job API needs."""

    host: Text = Field(default=ports.DEFAULT_HOST, validation_alias="DATAFLIX_TRAINER_HOST")
    port: Port = Field(default=ports.TRAINER, validation_alias="DATAFLIX_TRAINER_PORT")
    home: AbsolutePath = Field(validation_alias=HOME_VARIABLE)
    token: StrongSecret = Field(validation_alias="DATAFLIX_TRAINER_TOKEN")

    @property
    def jobs_dir(self) -> Path:
        """The folder of job states and logs."""
        return self.home / "trainer" / "jobs"


class TuningSettings(EnvironmentSettings):
    """Where studies of hyperparameters are kept."""

    home: AbsolutePath = Field(validation_alias=HOME_VARIABLE)

    @property
    def studies_dir(self) -> Path:
        """The folder of the studies' files."""
        return self.home / "trainer" / "tuning"


class TrainingSettings(EnvironmentSettings):
    """How many threads fit and rank; by default the cores that this process may use."""

    threads: Annotated[int, BeforeValidator(whole_number(1, MAX_THREADS))] = Field(
        default_factory=available_cores, validation_alias="DATAFLIX_TRAINER_THREADS"
    )


class RetentionSettings(EnvironmentSettings):
    """For how many days models and exports are kept."""

    days: Annotated[int, BeforeValidator(whole_number(1, MAX_RETENTION_DAYS))] = Field(
        default=RETENTION_DAYS, validation_alias="DATAFLIX_RETENTION_DAYS"
    )
