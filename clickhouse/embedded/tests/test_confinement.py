"""The server reaches no file but its own, even for a statement that the policy lets through."""

import logging
import os
from pathlib import Path

import landlockpy
import pytest

from dataflix_clickhouse import confinement
from dataflix_clickhouse.engine.chdb_engine import open_in_memory

from .support.api import Api

confined = pytest.mark.skipif(landlockpy.abi_version() < 2, reason="the kernel cannot confine a process")
SECRET = "a-secret-of-this-account"


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A file that the account of this test alone can read, as the server's account is the same."""
    path = tmp_path / "private"
    path.write_text(SECRET)
    path.chmod(0o600)
    return path


@confined
def test_the_administrator_reaches_no_file_of_the_machine(api: Api, private: Path) -> None:
    asked = f"SELECT file('{private}')"
    with open_in_memory() as engine:
        assert engine.run(asked).data.decode().strip() == SECRET
    out = private.with_name("out")
    for sql in (
        asked,
        f"SELECT * FROM file('{private}', 'LineAsString')",
        f"SELECT * FROM sqlite('{private}', 't')",
        f"INSERT INTO FUNCTION file('{out}', 'TSV') SELECT 1",
        f"BACKUP TABLE raw.movies TO File('{out}')",
        # The passwords of all accounts are in these.
        "SELECT file('/proc/self/environ')",
        f"SELECT file('/proc/{api.server.pid}/environ')",
        f"SELECT * FROM file('/proc/{os.getpid()}/environ', 'LineAsString')",
    ):
        answer = api.post(sql)
        assert answer.status_code >= 400, sql
        assert SECRET not in answer.text
        assert api.password not in answer.text
    assert not out.exists()


@confined
def test_a_link_in_the_data_folder_leads_nowhere(api: Api, private: Path) -> None:
    data = Path(api.text("SELECT path FROM system.disks WHERE name = 'default'"))
    link = data / "link"
    link.symlink_to(private)
    try:
        assert api.post(f"SELECT file('{link}')").status_code >= 400
    finally:
        link.unlink()


@pytest.mark.parametrize("abi", [0, 1])
def test_a_kernel_that_cannot_confine_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, abi: int
) -> None:
    monkeypatch.setattr(landlockpy, "abi_version", lambda: abi)
    with caplog.at_level(logging.WARNING):
        assert not confinement.confine(tmp_path)
    assert "not confined to own files" in caplog.text


def test_a_container_that_forbids_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(**_: object) -> None:
        raise landlockpy.LandlockError(1, "Operation not permitted")

    monkeypatch.setattr(landlockpy, "abi_version", lambda: 7)
    monkeypatch.setattr(landlockpy, "Ruleset", refused)
    before = os.environ.get("TMPDIR")
    with caplog.at_level(logging.WARNING):
        assert not confinement.confine(tmp_path)
    assert "Operation not permitted" in caplog.text
    assert os.environ.get("TMPDIR") == before
