"""supervisord: an older version's configuration is noticed, and all of its programs are stopped."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflix_stack.config import settings as stack_settings
from dataflix_stack.services.supervisor import Supervisor


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    monkeypatch.setenv("DATAFLIX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATAFLIX_ENV_FILE", str(tmp_path / "env"))
    settings = stack_settings.load(create=True)
    stack_settings.prepare_home(settings.home)
    supervisor = Supervisor(settings)
    yield supervisor
    supervisor.stop()


def test_a_running_supervisor_is_found_and_stopped(supervisor: Supervisor) -> None:
    supervisor.start()
    assert supervisor.process() is not None
    assert not supervisor.is_outdated()
    supervisor.stop()
    assert supervisor.process() is None


def test_a_program_of_another_version_is_stopped(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = f'[program:gone]\ncommand="{sys.executable}" -c "import time; time.sleep(600)"\nautostart=true\n'
    current = supervisor._configuration()
    monkeypatch.setattr(supervisor, "_configuration", lambda: f"{current}\n{older}")
    supervisor.start()
    monkeypatch.undo()
    assert supervisor.is_outdated()
    assert [program.name for program in supervisor.programs() if program.pid] == ["gone"]
    supervisor.stop()
    assert supervisor.process() is None
