"""Settings name every variable that is missing or wrong, and never show a secret."""

from pathlib import Path

import pytest
from pydantic import Field, ValidationError

from dataflix_common import ports
from dataflix_common.settings import (
    EnvironmentSettings,
    ExistingFolder,
    Port,
    Secret,
    SettingsError,
    StrongSecret,
    Text,
)


class Example(EnvironmentSettings):
    host: Text = Field(default="127.0.0.1", validation_alias="DATAFLIX_EXAMPLE_HOST")
    port: Port = Field(default=ports.BACKEND, validation_alias="DATAFLIX_EXAMPLE_PORT")
    password: Secret = Field(validation_alias="DATAFLIX_EXAMPLE_PASSWORD")
    token: StrongSecret = Field(validation_alias="DATAFLIX_EXAMPLE_TOKEN")
    folder: ExistingFolder = Field(validation_alias="DATAFLIX_EXAMPLE_FOLDER")


def environ(folder: Path, **changes: str) -> dict[str, str]:
    return {
        "DATAFLIX_EXAMPLE_PASSWORD": "hunter2",
        "DATAFLIX_EXAMPLE_TOKEN": "0123456789abcdef",
        "DATAFLIX_EXAMPLE_FOLDER": str(folder),
    } | changes


def test_what_is_not_set_has_its_default(tmp_path: Path) -> None:
    settings = Example.from_environ(environ(tmp_path, DATAFLIX_EXAMPLE_HOST="  "))
    assert (settings.host, settings.port, settings.folder) == ("127.0.0.1", 5002, tmp_path)


def test_blanks_around_a_value_do_not_count(tmp_path: Path) -> None:
    settings = Example.from_environ(
        environ(tmp_path, DATAFLIX_EXAMPLE_HOST=" db ", DATAFLIX_EXAMPLE_PORT=" 99 ")
    )
    assert (settings.host, settings.port) == ("db", 99)


def test_the_process_environment_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATAFLIX_EXAMPLE_PORT", "1234")
    assert Example.from_environ(environ(tmp_path)).port == ports.BACKEND


def test_one_message_names_every_mistake(tmp_path: Path) -> None:
    wrong = {
        "DATAFLIX_EXAMPLE_PORT": "70000",
        "DATAFLIX_EXAMPLE_TOKEN": "short one",
        "DATAFLIX_EXAMPLE_FOLDER": str(tmp_path / "none"),
    }
    with pytest.raises(SettingsError) as caught:
        Example.from_environ(wrong)
    text = str(caught.value)
    assert "DATAFLIX_EXAMPLE_PORT must be a port from 1 to 65535, not '70000'" in text
    assert "DATAFLIX_EXAMPLE_PASSWORD is not set" in text
    assert "DATAFLIX_EXAMPLE_TOKEN must have at least 16 characters and no blanks" in text
    assert f"DATAFLIX_EXAMPLE_FOLDER is not a folder: {tmp_path / 'none'}" in text
    assert "short one" not in text


@pytest.mark.parametrize("port", ["0", "65536", "-1", "+5", "5.0", "1e3", "٥٤٣٢", "http"])
def test_a_port_is_a_plain_number_in_range(tmp_path: Path, port: str) -> None:
    with pytest.raises(SettingsError, match="DATAFLIX_EXAMPLE_PORT must be a port"):
        Example.from_environ(environ(tmp_path, DATAFLIX_EXAMPLE_PORT=port))


def test_secrets_stay_out_of_the_representation(tmp_path: Path) -> None:
    text = repr(Example.from_environ(environ(tmp_path)))
    assert "hunter2" not in text
    assert "0123456789abcdef" not in text


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = Example.from_environ(environ(tmp_path))
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1


def test_settings_can_be_made_by_their_field_names(tmp_path: Path) -> None:
    made = Example(password="hunter2", token="0123456789abcdef", folder=tmp_path)
    assert made == Example.from_environ(environ(tmp_path))
