"""Settings from the environment: declared as fields, checked all at once, with every mistake in one message.

A package declares its settings like this::

    class PostgresSettings(EnvironmentSettings):
        host: Text = Field(default=DEFAULT_HOST, validation_alias="DATAFLIX_POSTGRES_HOST")
        port: Port = Field(default=ports.POSTGRES, validation_alias="DATAFLIX_POSTGRES_PORT")
        password: Secret = Field(validation_alias="DATAFLIX_POSTGRES_ELT_PASSWORD")

    settings = PostgresSettings.from_environ(os.environ)
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from dataflix_common.argument_types import number_in, shown
from dataflix_common.ports import MAX_PORT

# Shorter secrets can be guessed. ./run.sh makes longer ones.
MIN_SECRET_LENGTH = 16


class SettingsError(ValueError):
    """Environment variables are missing or wrong. The message names each one and never shows a secret."""


class EnvironmentSettings(BaseSettings):
    """Base of all settings; immutable. A variable that is empty or blank counts as not set."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True, case_sensitive=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing but what is passed: ``from_environ`` chooses the environment."""
        return (init_settings,)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the variables of this class and check them.

        Raises:
            SettingsError: at least one is missing or wrong.
        """
        try:
            return cls(**_MappingSource(cls, environ)())
        except ValidationError as error:
            raise SettingsError(_message(error)) from None


class _MappingSource(EnvSettingsSource):
    """Reads a mapping where the library's own source reads ``os.environ``."""

    def __init__(self, settings_cls: type[BaseSettings], environ: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self.env_vars = {name: value for name, value in environ.items() if value.strip()}


def _message(error: ValidationError) -> str:
    problems = (_problem(details) for details in error.errors(include_input=False, include_url=False))
    return "; ".join(problems) + ". Settings come from .env, which ./run.sh writes."


def _problem(details: ErrorDetails) -> str:
    name = ".".join(map(str, details["loc"]))
    return f"{name} is not set" if details["type"] == "missing" else f"{name} {details['msg']}"


def invalid(reason: str) -> PydanticCustomError:
    """Return the error that a validator raises; the message follows the variable's name.

    Args:
        reason: for instance "must be a port from 1 to 65535, not 'x'".
    """
    return PydanticCustomError("setting", "{reason}", {"reason": reason})


def whole_number(low: int, high: int, what: str = "a whole number") -> Callable[[Any], int]:
    """Return a validator for a whole number from ``low`` to ``high``."""

    def check(value: Any) -> int:
        text = str(value).strip()
        number = number_in(text, low, high)
        if number is None:
            raise invalid(f"must be {what} from {low} to {high}, not {shown(text)}")
        return number

    return check


def secret_of(min_length: int) -> Callable[[str], str]:
    """Return a validator for a secret of at least ``min_length`` printable characters without blanks."""

    def check(value: str) -> str:
        if len(value) < min_length or not value.isprintable() or " " in value:
            raise invalid(f"must have at least {min_length} characters and no blanks")
        return value

    return check


def _existing_folder(path: Path) -> Path:
    if not path.is_dir():
        raise invalid(f"is not a folder: {path}")
    return path


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


Text = Annotated[str, StringConstraints(strip_whitespace=True)]
Port = Annotated[int, BeforeValidator(whole_number(1, MAX_PORT, "a port"))]
# A password of another service: its own rules decide how long it is.
Secret = Annotated[str, Field(repr=False)]
# A secret that opens a service of ours.
StrongSecret = Annotated[str, Field(repr=False), AfterValidator(secret_of(MIN_SECRET_LENGTH))]
ExistingFolder = Annotated[Path, AfterValidator(_existing_folder)]
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
