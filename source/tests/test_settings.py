"""Where the source is: what is verified by default, and what a wrong setting says."""

from pathlib import Path

import pytest

from dataflix_source import settings
from dataflix_source.errors import DatabaseError

ENVIRON = {
    "DATAFLIX_ENV_FILE": "/nonexistent/.env",
    "DATAFLIX_SOURCE_HOST": "db.example",
    "DATAFLIX_SOURCE_DB": "shop",
    "DATAFLIX_SOURCE_USER": "reader",
    "DATAFLIX_SOURCE_PASSWORD": "very-secret",
}


def test_another_machine_is_verified() -> None:
    assert settings.load_source(ENVIRON).sslmode == "verify-full"
    assert settings.load_source(ENVIRON | {"DATAFLIX_SOURCE_SSLMODE": "require"}).sslmode == "require"
    assert settings.load_source(ENVIRON | {"DATAFLIX_SOURCE_HOST": "127.0.0.1"}).sslmode == "prefer"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"DATAFLIX_SOURCE_HOST": ""}, "DATAFLIX_SOURCE_HOST is not set"),
        ({"DATAFLIX_SOURCE_PORT": "70000"}, "DATAFLIX_SOURCE_PORT must be a port"),
        ({"DATAFLIX_SOURCE_SSLMODE": "allow"}, "DATAFLIX_SOURCE_SSLMODE must be one of"),
        (
            {"DATAFLIX_SOURCE_SSLROOTCERT": "/nonexistent.pem"},
            "is not a file that can be read: /nonexistent.pem",
        ),
    ],
)
def test_a_wrong_setting_is_named(changes: dict[str, str], message: str) -> None:
    with pytest.raises(DatabaseError, match=message) as caught:
        settings.load_source(ENVIRON | changes)
    assert "very-secret" not in str(caught.value)


def test_settings_come_from_env(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        "\n".join(f"{name}={value}" for name, value in ENVIRON.items() if "SOURCE" in name), encoding="utf-8"
    )
    found = settings.load_source({"DATAFLIX_ENV_FILE": str(file)})
    assert found.address == "shop on db.example:5432"
    assert "very-secret" not in repr(found)


def test_the_description_in_use_needs_no_naming(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    assert settings.load_description_file({"DATAFLIX_ENV_FILE": str(file)}) == Path("dataflix.yml")
    file.write_text("DATAFLIX_SOURCE_FILE=/elsewhere/shop.yml\n", encoding="utf-8")
    assert settings.load_description_file({"DATAFLIX_ENV_FILE": str(file)}) == Path("/elsewhere/shop.yml")
