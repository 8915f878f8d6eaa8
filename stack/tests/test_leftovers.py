"""After ./stop.sh no process of the stack is left, and no other one is touched."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dataflix_stack import status, stop
from dataflix_stack.config import settings as stack_settings
from dataflix_stack.config.settings import Settings
from dataflix_stack.services import leftovers
from dataflix_stack.services.registry import SERVICES
from dataflix_stack.services.supervisor import Supervisor

SLEEP = [sys.executable, "-ISE", "-c", "import time; time.sleep(600)"]


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DATAFLIX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATAFLIX_ENV_FILE", str(tmp_path / "env"))
    settings = stack_settings.load(create=True)
    stack_settings.prepare_home(settings.home)
    return settings


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def test_a_supervisor_that_was_killed_leaves_nothing_behind(
    stack: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    supervisor, find = Supervisor(stack), leftovers.find
    program = (
        f'[program:backend]\ncommand="{sys.executable}" -c "import time; time.sleep(600)"\nautostart=true\n'
    )
    current = supervisor._configuration().partition("[program:")[0]
    monkeypatch.setattr(supervisor, "_configuration", lambda: f"{current}\n{program}")
    supervisor.start()
    (service,) = [psutil.Process(found.pid) for found in supervisor.programs() if found.pid]
    killed = supervisor.process()
    assert killed is not None
    killed.kill()
    psutil.wait_procs([killed], timeout=10)
    assert service.is_running()
    monkeypatch.setattr(leftovers, "find", lambda _: {service: "backend"})
    assert status.status(as_json=False) is False
    shown = capsys.readouterr().out
    assert "left behind" in shown
    assert "./stop.sh ends them" in shown
    monkeypatch.setattr(leftovers, "find", find)
    stop.stop(purge=False, assume_yes=False)
    assert not service.is_running()
    assert "left behind" in capsys.readouterr().err


def test_a_process_in_a_session_of_its_own_ends_whoever_started_it(
    stack: Settings, started: list[subprocess.Popen[bytes]]
) -> None:
    environ = {**os.environ, **leftovers.mark("airflow-scheduler", stack.home)}
    # The first ends at once and leaves an orphan; the second has a child without the mark.
    orphan = subprocess.run(
        [sys.executable, "-ISE", "-c", _START_AND_PRINT_PID.format(environ="None")],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    parent = subprocess.Popen(
        [sys.executable, "-ISE", "-c", _START_AND_PRINT_PID.format(environ="{}") + "; time.sleep(600)"],
        env=environ,
        stdout=subprocess.PIPE,
    )
    started.append(parent)
    assert parent.stdout is not None
    pids = {int(orphan.stdout), parent.pid, int(parent.stdout.readline())}
    parent.stdout.close()
    assert {process.pid for process in leftovers.find(stack.home)} == pids
    assert leftovers.end(stack.home) == ["airflow-scheduler"]
    assert parent.wait(10) is not None
    assert not any(psutil.pid_exists(pid) for pid in pids)


_START_AND_PRINT_PID = (
    "import subprocess, sys, time; "
    "print(subprocess.Popen([sys.executable, '-ISE', '-c', 'import time; time.sleep(600)'], env={environ}, "
    "start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid, flush=True)"
)


def test_what_ignores_the_signal_is_killed_and_postgres_ends_last(
    stack: Settings, started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "_END_TIMEOUT_S", 0.2)
    wait = "print(1, flush=True); import time; time.sleep(600)"
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {wait}"
    for name, code in (
        ("backend", deaf),
        (SERVICES[0].name, wait),
    ):
        process = subprocess.Popen(
            [sys.executable, "-ISE", "-c", code],
            env={**os.environ, **leftovers.mark(name, stack.home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
    ended: list[str] = []
    end = leftovers._end

    def recorded(chosen: dict[psutil.Process, str]) -> None:
        ended.append("+".join(sorted(set(chosen.values()))))
        end(chosen)

    monkeypatch.setattr(leftovers, "_end", recorded)
    leftovers.end(stack.home)
    assert ended == ["backend", "postgres"]
    assert not any(psutil.pid_exists(process.pid) for process in started)


def test_a_shell_with_the_state_folder_in_its_environment_and_other_stacks_are_left_alone(
    stack: Settings, started: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    for environ in (
        {"DATAFLIX_HOME": str(stack.home)},
        leftovers.mark("backend", tmp_path / "home2"),
        leftovers.mark("backend", tmp_path),
    ):
        started.append(subprocess.Popen(SLEEP, env=environ))
    assert leftovers.find(stack.home) == {}
    assert leftovers.end(stack.home) == []
    assert all(process.poll() is None for process in started)


def test_the_command_that_stops_does_not_end_itself(stack: Settings) -> None:
    code = f"""
from pathlib import Path
from dataflix_stack.services import leftovers
print(leftovers.end(Path({str(stack.home)!r})))
"""
    environ = {**os.environ, **leftovers.mark("backend", stack.home)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
