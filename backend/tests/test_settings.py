from pathlib import Path

import pytest

from dataflix_backend.settings import Settings, SyncSettings
from dataflix_common.settings import SettingsError

GOOD = {"DATAFLIX_API_KEY": "k" * 32, "DATAFLIX_POSTGRES_BACKEND_PASSWORD": "p" * 32}


def test_defaults_need_only_the_secrets() -> None:
    settings = Settings.from_environ(GOOD)
    assert (settings.host, settings.port) == ("127.0.0.1", 5002)
    assert (settings.postgres_host, settings.postgres_port) == ("127.0.0.1", 5432)
    assert settings.models_dir == Path(".dataflix/models").absolute()


def test_secrets_are_not_in_the_representation() -> None:
    shown = repr(Settings.from_environ(GOOD))
    assert "kkk" not in shown
    assert "ppp" not in shown


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATAFLIX_BACKEND_PORT", "0"),
        ("DATAFLIX_BACKEND_PORT", "65536"),
        ("DATAFLIX_POSTGRES_PORT", "five"),
        ("DATAFLIX_POSTGRES_PORT", "\u0665"),
        ("DATAFLIX_BACKEND_WORKERS", "-1"),
        ("DATAFLIX_BACKEND_THREADS", "1.5"),
        ("DATAFLIX_API_KEY", ""),
        ("DATAFLIX_API_KEY", "short"),
        ("DATAFLIX_API_KEY", "with blank with blank"),
        ("DATAFLIX_API_KEY", "line\nbreak line break"),
        ("DATAFLIX_POSTGRES_BACKEND_PASSWORD", ""),
    ],
)
def test_wrong_value_is_named(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        Settings.from_environ({**GOOD, variable: value})


def test_empty_values_mean_the_default() -> None:
    key = {"DATAFLIX_MODEL_PROMOTION_KEY": "5e" * 32}
    settings = SyncSettings.from_environ({"DATAFLIX_MLFLOW_HOST": "", "DATAFLIX_MLFLOW_PORT": " "} | key)
    assert settings.tracking_uri == "http://127.0.0.1:5003"
    assert settings.model_name == "dataflix-als"
