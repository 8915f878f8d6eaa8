"""Settings come from the environment, else from `.env`, and a bad one is named."""

from pathlib import Path

import pytest

from dataflix_loader import settings
from dataflix_loader.errors import DatabaseError


def environ(tmp_path: Path, **values: str) -> dict[str, str]:
    return {"DATAFLIX_ENV_FILE": str(tmp_path / ".env"), **values}


def test_defaults(tmp_path: Path) -> None:
    found = settings.load(environ(tmp_path, DATAFLIX_POSTGRES_ADMIN_PASSWORD="secret"))
    assert (found.host, found.port, found.dbname) == ("127.0.0.1", 5432, "dataflix")
    assert found.home == settings.ROOT / ".dataflix"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "DATAFLIX_POSTGRES_ADMIN_PASSWORD=of-the-file\nDATAFLIX_POSTGRES_PORT=6000\nDATAFLIX_HOME=/somewhere\n"
    )
    found = settings.load(environ(tmp_path, DATAFLIX_POSTGRES_PORT="7000"))
    assert (found.admin_password, found.port, found.home) == ("of-the-file", 7000, Path("/somewhere"))


def test_the_password_has_no_default(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="DATAFLIX_POSTGRES_ADMIN_PASSWORD is not set"):
        settings.load(environ(tmp_path))


@pytest.mark.parametrize("port", ["0", "65536", "five", "-1", "٣"])
def test_a_bad_port_is_named(tmp_path: Path, port: str) -> None:
    with pytest.raises(DatabaseError, match="DATAFLIX_POSTGRES_PORT must be a port"):
        settings.load(
            environ(tmp_path, DATAFLIX_POSTGRES_ADMIN_PASSWORD="secret", DATAFLIX_POSTGRES_PORT=port)
        )
