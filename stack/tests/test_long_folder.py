"""A state folder with a long path: every Unix socket below it still gets a path that the system allows."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflix_stack import stop
from dataflix_stack.config import settings as stack_settings
from dataflix_stack.config import short_path
from dataflix_stack.config.settings import Settings
from dataflix_stack.config.short_path import MAX_HOME_BYTES, short_home
from dataflix_stack.errors import StackError
from dataflix_stack.services.registry import SERVICES
from dataflix_stack.services.supervisor import Supervisor

# What Airflow's executor does; it fails if the path of the forkserver's socket is too long.
_FORKSERVER = """
import multiprocessing, os
if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=os.getpid)
    process.start()
    process.join()
    raise SystemExit(process.exitcode)
"""


def folder_of(parent: Path, size: int) -> Path:
    """Return a path of exactly `size` bytes below `parent`."""
    missing = size - len(os.fsencode(parent)) - 1
    assert missing > 0
    return parent / ("d" * missing) if missing <= 200 else folder_of(parent / ("d" * 200), size)


@pytest.fixture(params=[MAX_HOME_BYTES + 12, 107, 400, 900])
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    base = tmp_path_factory.mktemp("l")
    home = folder_of(base, max(request.param, len(os.fsencode(base)) + 2))
    monkeypatch.setenv("DATAFLIX_HOME", str(home))
    monkeypatch.setenv("DATAFLIX_ENV_FILE", str(base / "env"))
    settings = stack_settings.load(create=True)
    stack_settings.prepare_home(settings.home)
    yield settings
    stop.stop(purge=True, assume_yes=True)


def test_every_service_can_open_a_socket_in_its_folder_for_temporary_files(stack: Settings) -> None:
    script = stack.home / "tmp" / "forkserver.py"
    script.write_text(_FORKSERVER)
    for name in {service.environ(stack)["TMPDIR"] for service in SERVICES}:
        environ = os.environ | {"TMPDIR": name}
        done = subprocess.run(
            [sys.executable, str(script)], env=environ, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
    # The files are in the state folder, where a purge and an erasure find them.
    assert Path(name).resolve() == (stack.home / "tmp").resolve()


def test_the_supervisor_starts_and_stops_whatever_the_folder_for_temporary_files(
    stack: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Supervisor(stack).start()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert not Supervisor(stack).is_outdated()
    Supervisor(stack).stop()
    assert Supervisor(stack).process() is None


def test_a_purge_removes_the_link(stack: Settings) -> None:
    link = short_home(stack.home)
    assert link.is_symlink()
    stop.stop(purge=True, assume_yes=True)
    assert not link.is_symlink()
    assert not stack.home.exists()


def test_a_short_path_is_used_as_it_is() -> None:
    home = Path("/srv/" + "d" * (MAX_HOME_BYTES - 5))
    assert short_home(home) == home


def test_links_of_tests_do_not_stay_in_the_systems_folders() -> None:
    link = short_home(Path("/srv/" + "d" * MAX_HOME_BYTES))
    assert link.parent.name.startswith("dfx-"), "conftest.py removes that folder at the end"


def test_bytes_are_counted_not_letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(short_path, "_FOLDERS", (tmp_path,))
    assert short_home(Path("/" + "ж" * (MAX_HOME_BYTES // 2))).parent == tmp_path


def test_a_link_that_another_program_has_put_there_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir()
    second.mkdir()
    monkeypatch.setattr(short_path, "_FOLDERS", (first, second))
    home = Path("/srv/" + "d" * MAX_HOME_BYTES)
    taken = short_home(home)
    taken.unlink()
    taken.symlink_to("/elsewhere")
    assert short_home(home).parent == second


def test_a_folder_where_others_may_replace_the_link_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o777)
    monkeypatch.setattr(short_path, "_FOLDERS", (tmp_path, tmp_path / "missing"))
    with pytest.raises(StackError, match="shorter path with DATAFLIX_HOME"):
        short_home(Path("/srv/" + "d" * MAX_HOME_BYTES))
