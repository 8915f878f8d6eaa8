"""Settings are checked all at once, and every mistake is named."""

from pathlib import Path

import pytest

from dataflix_elt.errors import SettingsError
from dataflix_elt.settings import DbtSettings, SourceSettings, TrainerSettings, WarehouseSettings


def test_places_have_defaults_and_passwords_have_none() -> None:
    settings = SourceSettings.from_environ({"DATAFLIX_POSTGRES_ELT_PASSWORD": "secret word"})

    assert (settings.host, settings.port, settings.dbname, settings.user) == (
        "127.0.0.1",
        5432,
        "dataflix",
        "elt_reader",
    )
    assert "secret word" not in repr(settings)
    for kind in (SourceSettings, WarehouseSettings, TrainerSettings):
        with pytest.raises(SettingsError, match=r"(PASSWORD|TOKEN) is not set"):
            kind.from_environ({})


@pytest.mark.parametrize("port", ["0", "65536", "-1", "many", "80.5", "\N{ARABIC-INDIC DIGIT ONE}"])
def test_an_invalid_port_is_named_with_everything_else_that_is_wrong(port: str) -> None:
    with pytest.raises(SettingsError, match=r"DATAFLIX_CLICKHOUSE_PORT must be a port.*PASSWORD is not set"):
        WarehouseSettings.from_environ({"DATAFLIX_CLICKHOUSE_PORT": port})


def test_dbt_writes_into_the_project_unless_a_target_is_set(tmp_path: Path) -> None:
    environ = {"DATAFLIX_DBT_PROJECT_DIR": str(tmp_path)}

    assert DbtSettings.from_environ(environ).target == tmp_path / "target"
    assert DbtSettings.from_environ({**environ, "DATAFLIX_DBT_TARGET_DIR": "/else/where"}).target == Path(
        "/else/where"
    )
    with pytest.raises(SettingsError, match="is not a folder"):
        DbtSettings.from_environ({"DATAFLIX_DBT_PROJECT_DIR": str(tmp_path / "missing")})
