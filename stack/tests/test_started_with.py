"""A change of `.env` under a running stack is noticed, by service and variable, and shows no secret."""

import json
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dataflix_stack import status
from dataflix_stack.config import settings as stack_settings
from dataflix_stack.config.settings import Settings
from dataflix_stack.errors import StackError
from dataflix_stack.services import health, launch, privileges, started_with, startup
from dataflix_stack.services.registry import BY_NAME, SERVICES
from dataflix_stack.services.supervisor import Supervisor
from dataflix_testkit import postgres


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A stack whose services were all started with its settings."""
    monkeypatch.setenv("DATAFLIX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATAFLIX_ENV_FILE", str(tmp_path / "env"))
    # Asking the system which capabilities it grants starts a program each time.
    monkeypatch.setattr(privileges, "without_capabilities", lambda command, _: command)
    settings = stack_settings.load(create=True)
    stack_settings.prepare_home(settings.home)
    for service in SERVICES:
        started_with.record(service, settings)
    return settings


def with_values(settings: Settings, **values: str) -> Settings:
    return replace(settings, values=settings.values | {f"DATAFLIX_{k}": v for k, v in values.items()})


def changed(settings: Settings) -> dict[str, list[str]]:
    found = {service.name: list(map(str, started_with.changes(service, settings))) for service in SERVICES}
    return {name: changes for name, changes in found.items() if changes}


def test_nothing_has_changed_after_a_start(stack: Settings) -> None:
    assert changed(stack) == {}


def test_a_moved_port_concerns_its_service_and_those_that_call_it(stack: Settings) -> None:
    assert changed(with_values(stack, BACKEND_PORT="6002")) == {
        "backend": ["DATAFLIX_BACKEND_PORT=5002, not 6002"]
    }
    moved = changed(with_values(stack, POSTGRES_PORT="6432"))
    assert {"postgres", "backend", "mlflow", "airflow-scheduler", "superset"} <= moved.keys()
    assert "s3" not in moved


def test_a_secret_is_named_and_neither_shown_nor_stored(stack: Settings) -> None:
    assert changed(with_values(stack, API_KEY="n" * 32)) == {"backend": ["another DATAFLIX_API_KEY"]}
    stored = "".join(path.read_text() for path in (stack.home / "run" / "started").iterdir())
    assert stack["API_KEY"] not in stored
    assert stack["PII_KEY"] not in stored


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_service_without_a_usable_record_is_not_said_to_be_old(stack: Settings, content: str) -> None:
    (stack.home / "run" / "started" / "backend.json").write_text(content)
    assert changed(with_values(stack, BACKEND_PORT="6002")) == {}


def test_a_service_records_what_it_is_started_with(stack: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.env_file.write_text(stack.env_file.read_text().replace("BACKEND_PORT=5002", "BACKEND_PORT=6002"))
    now = stack_settings.load(create=False)
    assert changed(now)
    monkeypatch.setattr(os, "execvpe", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["launch", "backend"])
    launch.main()
    assert changed(now) == {}


def test_status_names_service_variable_and_what_to_do(
    stack: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Supervisor, "process", lambda _: object())
    monkeypatch.setattr(Supervisor, "state", lambda *_: "RUNNING")
    monkeypatch.setattr(Supervisor, "pid", lambda *_: 1)
    monkeypatch.setattr(status, "is_healthy", lambda *_: True)
    status.status(as_json=False)
    assert "was changed" not in capsys.readouterr().out
    stack.env_file.write_text(stack.env_file.read_text().replace("S3_PORT=9000", "S3_PORT=9100"))
    status.status(as_json=False)
    shown = capsys.readouterr().out
    assert f"{stack.env_file} was changed" in shown
    assert "./run.sh starts them again" in shown
    assert "  s3 runs with DATAFLIX_S3_PORT=9000, not 9100\n" in shown
    status.status(as_json=True)
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["services"]}
    assert rows["s3"]["old_settings"] == ["DATAFLIX_S3_PORT=9000, not 9100"]
    assert rows["postgres"]["old_settings"] == []


class RecordingSupervisor(Supervisor):
    """All services run; what is stopped is noted."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.stopped: list[str] = []

    def pid(self, _: object) -> int | None:
        return 1

    def stop(self) -> None:
        self.stopped = ["all"]

    def stop_programs(self, names: object) -> None:
        self.stopped = sorted(names)  # type: ignore[call-overload]


def test_the_next_run_starts_those_services_again_and_no_others(
    stack: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    supervisor = RecordingSupervisor(stack)
    startup.stop_changed(stack, supervisor)
    assert supervisor.stopped == []
    startup.stop_changed(with_values(stack, POSTGRES_MLFLOW_PASSWORD="n" * 32), supervisor)
    assert supervisor.stopped == ["mlflow"]
    assert "mlflow runs with another DATAFLIX_POSTGRES_MLFLOW_PASSWORD" in capsys.readouterr().err


def test_nothing_is_stopped_for_a_port_that_is_taken(stack: Settings) -> None:
    supervisor = RecordingSupervisor(stack)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = str(other.getsockname()[1])
        for name in ("BACKEND_PORT", "POSTGRES_PORT"):
            with pytest.raises(StackError, match=f"Port {taken} "):
                startup.stop_changed(with_values(stack, **{name: taken}), supervisor)
    assert supervisor.stopped == []


def test_another_password_of_the_administrator_ends_the_wait_with_the_way_out(stack: Settings) -> None:
    with postgres(initialise=False) as server:
        values = {name.removeprefix("DATAFLIX_"): value for name, value in server.environ.items()}
        there = with_values(stack, **values)
        assert health.postgres_refusal(there) is None
        other = with_values(there, POSTGRES_ADMIN_PASSWORD="n" * 32)
        assert "ALTER ROLE postgres PASSWORD" in str(BY_NAME["postgres"].hopeless(other))
        assert not health.postgres(other)
