"""The state folder: private, never one with other files, never deleted by mistake."""

import re
import shutil
import socket
from collections import namedtuple
from pathlib import Path

import pytest

from dataflix_stack import stop
from dataflix_stack.config import dotenv_file
from dataflix_stack.config import settings as stack_settings
from dataflix_stack.config.settings import Settings
from dataflix_stack.errors import StackError
from dataflix_stack.services import startup
from dataflix_stack.services.data import Chosen
from dataflix_stack.services.first_checks import checked_settings

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DATAFLIX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATAFLIX_ENV_FILE", str(tmp_path / "env"))
    return stack_settings.load(create=True)


def test_a_new_folder_is_private_and_marked(stack: Settings) -> None:
    stack_settings.prepare_home(stack.home)
    assert stack_settings.is_dataflix_home(stack.home)
    assert stack.home.stat().st_mode & 0o077 == 0


def test_a_folder_with_other_files_is_refused_untouched(stack: Settings) -> None:
    stack.home.mkdir()
    (stack.home / "thesis.tex").write_text("years of work")
    with pytest.raises(StackError, match="holds files that are not Dataflix's"):
        stack_settings.prepare_home(stack.home)
    assert [path.name for path in stack.home.iterdir()] == ["thesis.tex"]


def test_a_home_that_is_a_file_is_refused(stack: Settings) -> None:
    stack.home.write_text("")
    with pytest.raises(StackError, match=r"can't be written.*DATAFLIX_HOME"):
        stack_settings.prepare_home(stack.home)


def test_a_full_disk_is_reported_before_anything_starts(
    stack: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 10**12, 5 << 20))
    with pytest.raises(StackError, match="5 MiB free"):
        stack_settings.prepare_home(stack.home)


def test_purge_deletes_our_folder_and_leaves_the_settings(stack: Settings) -> None:
    stack_settings.prepare_home(stack.home)
    stop.stop(purge=True, assume_yes=True)
    assert not stack.home.exists()
    assert stack.env_file.exists()
    stop.stop(purge=True, assume_yes=True)


def test_purge_never_deletes_a_folder_we_did_not_make(stack: Settings) -> None:
    stack.home.mkdir()
    (stack.home / "thesis.tex").write_text("years of work")
    with pytest.raises(StackError, match="was not made by Dataflix"):
        stop.stop(purge=True, assume_yes=True)
    assert (stack.home / "thesis.tex").exists()


def test_purge_without_a_terminal_needs_yes(stack: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    stack_settings.prepare_home(stack.home)
    monkeypatch.setattr("sys.stdin", (stack.home / "tmp" / "no-terminal").open("w+"))
    with pytest.raises(StackError, match="--yes"):
        stop.stop(purge=True, assume_yes=False)
    assert stack.home.exists()


def test_a_taken_port_is_reported_with_the_variable_that_moves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        dotenv_file.write_first(tmp_path / "env", {"DATAFLIX_POSTGRES_PORT": str(port)})
        monkeypatch.setenv("DATAFLIX_ENV_FILE", str(tmp_path / "env"))
        with pytest.raises(StackError, match=rf"Port {port} .*postgres.*DATAFLIX_POSTGRES_PORT"):
            startup.check_ports_are_free(stack_settings.load(create=False))


def test_all_that_is_wrong_before_the_first_start_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATAFLIX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATAFLIX_ENV_FILE", str(tmp_path / "env"))
    with socket.socket() as first, socket.socket() as second:
        ports = []
        for other in (first, second):
            other.bind(("127.0.0.1", 0))
            other.listen()
            ports.append(other.getsockname()[1])
        (tmp_path / "env").write_text(f"DATAFLIX_POSTGRES_PORT={ports[0]}\nDATAFLIX_S3_PORT={ports[1]}\n")
        with pytest.raises(StackError) as caught:
            checked_settings(Chosen(movielens=tmp_path / "missing"))
    told = str(caught.value)
    assert "--data" in told
    assert all(f"Port {port} " in told for port in ports)


def test_a_secret_is_filled_in_only_while_there_is_no_data(stack: Settings) -> None:
    text = stack.env_file.read_text()
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("DATAFLIX_PII_KEY="))
    stack.env_file.write_text(kept)
    assert stack_settings.load(create=True)["PII_KEY"]
    stack_settings.prepare_home(stack.home)
    (stack.home / "postgres").mkdir()
    stack.env_file.write_text(kept)
    with pytest.raises(StackError, match="DATAFLIX_PII_KEY is missing"):
        stack_settings.load(create=True)
    stack.env_file.write_text(text.replace(stack["PII_KEY"], ""))
    with pytest.raises(StackError, match="DATAFLIX_PII_KEY must be"):
        stack_settings.load(create=True)
    stack.env_file.unlink()
    with pytest.raises(StackError, match=r"holds data, and .* does not exist\. Put it back"):
        stack_settings.load(create=True)
    assert not stack.env_file.exists()


@pytest.mark.parametrize("name", ["100%", "a ;b", "a #b", "a\t#b", 'a"b', "a\nb", "a\udcffb"])
def test_a_folder_name_that_supervisord_cannot_escape_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv("DATAFLIX_HOME", str(tmp_path / name))
    monkeypatch.setenv("DATAFLIX_ENV_FILE", str(tmp_path / "env"))
    with pytest.raises(StackError, match=re.escape(repr(name)[1:-1])):
        stack_settings.load(create=True)
    assert not (tmp_path / "env").exists()


@pytest.mark.parametrize("name", ["c++", "a & b", "a#b", "what?"])
def test_a_folder_that_clickhouse_cannot_open_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv("DATAFLIX_HOME", str(tmp_path / name))
    monkeypatch.setenv("DATAFLIX_ENV_FILE", str(tmp_path / "env"))
    monkeypatch.setattr(stack_settings, "prepare_home", lambda _: pytest.fail("it starts"))
    with pytest.raises(StackError, match=re.escape(str(tmp_path / name))):
        checked_settings(Chosen())
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["a b", "a;b", "Größe", "a'b", "$HOME (x)", "a, z=1 {b} ~"])
def test_other_folder_names_are_not_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv("DATAFLIX_HOME", str(tmp_path / name))
    monkeypatch.setenv("DATAFLIX_ENV_FILE", str(tmp_path / "env"))
    assert stack_settings.load(create=True).home == tmp_path / name
