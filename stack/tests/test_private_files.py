"""No other account can read the state folder or `.env`, whatever their modes were before."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflix_stack.config import dotenv_file, private_files
from dataflix_stack.config import settings as stack_settings
from dataflix_stack.config.settings import Settings
from dataflix_stack.errors import StackError
from dataflix_stack.services import data, preparation
from dataflix_stack.services.data import Chosen
from dataflix_stack.services.registry import SERVICES
from dataflix_stack.services.startup import start
from dataflix_stack.services.supervisor import Supervisor
from dataflix_testkit import free_port, movielens


def readable_by_others(folder: Path) -> list[str]:
    found = [str(folder)] if folder.stat().st_mode & 0o077 else []
    for parent, folders, files in os.walk(folder):
        for path in (Path(parent) / name for name in (*folders, *files)):
            # A running service removes files meanwhile.
            with contextlib.suppress(FileNotFoundError):
                if not path.is_symlink() and path.stat().st_mode & 0o077:
                    found.append(str(path))
    return found


@pytest.fixture
def stack(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """An installation with the modes that a usual umask gives."""
    tmp_path = tmp_path_factory.mktemp("p")
    ports = {f"DATAFLIX_{service.port_of}_PORT": str(free_port()) for service in SERVICES if service.port_of}
    monkeypatch.setenv("DATAFLIX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATAFLIX_ENV_FILE", str(tmp_path / "env"))
    dotenv_file.write_first(tmp_path / "env", ports)
    before = os.umask(0o022)
    settings = stack_settings.load(create=True)
    settings.home.mkdir(mode=0o755)
    yield settings
    os.umask(before)


def test_a_folder_that_existed_is_made_private(stack: Settings) -> None:
    stack_settings.prepare_home(stack.home)
    assert readable_by_others(stack.home) == []


def test_what_was_written_before_is_made_private_at_each_start(stack: Settings, tmp_path: Path) -> None:
    stack_settings.prepare_home(stack.home)
    part = stack.home / "clickhouse" / "store" / "part"
    part.mkdir(parents=True)
    (part / "data.bin").write_text("a city")
    (stack.logs / "trainer.log").write_text("a line")
    outside = tmp_path / "outside"
    outside.write_text("of somebody else")
    outside.chmod(0o644)
    (stack.home / "tmp" / "link").symlink_to(outside)
    stack.home.chmod(0o755)

    stack_settings.prepare_home(stack.home)

    assert readable_by_others(stack.home) == []
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644


def test_what_services_and_loads_write_is_private(stack: Settings, tmp_path: Path) -> None:
    stack_settings.prepare_home(stack.home)
    supervisor = Supervisor(stack)
    supervisor.start()
    try:
        preparation.create_postgres_cluster(stack)
        for name in ("postgres", "clickhouse", "s3"):
            start(name, stack, supervisor)
        preparation.create_bucket(stack)
        preparation.apply_postgres_init(stack)
        data.load(stack, Chosen(movielens=movielens.write_csv(tmp_path / "ml")))
        written = sum(len(files) for _, _, files in os.walk(stack.home))
        assert list((stack.home / "imports").iterdir())
        assert readable_by_others(stack.home) == []
    finally:
        supervisor.stop()
    assert written > 100


def test_the_file_of_settings_is_made_private(stack: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    stack.env_file.chmod(0o644)
    stack_settings.load(create=True)
    assert stat.S_IMODE(stack.env_file.stat().st_mode) == 0o600
    assert "other accounts can't read it any more" in capsys.readouterr().err


def test_a_file_system_without_modes_is_refused(stack: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "chmod", lambda *_: None)
    with pytest.raises(StackError, match="another file system with DATAFLIX_HOME"):
        stack_settings.prepare_home(stack.home)


def test_secrets_that_every_account_reads_are_refused_if_their_file_is_not_ours(
    stack: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.env_file.chmod(0o644)

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(StackError, match="Every account can read the secrets"):
        private_files.make_file_private(stack.env_file)
