"""Status: a service in the background may start late, every other service may not."""

import json
from pathlib import Path

import pytest

from dataflix_stack import status
from dataflix_stack.config import dotenv_file
from dataflix_stack.config import settings as stack_settings
from dataflix_stack.config.settings import Settings
from dataflix_stack.services.registry import BY_NAME, SERVICES, Service
from dataflix_stack.services.supervisor import Supervisor
from dataflix_testkit import free_port

IN_BACKGROUND = [service.name for service in SERVICES if service.in_background]


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A stack whose services all run, as supervisord reports, while none of them answers."""
    ports = {f"DATAFLIX_{service.port_of}_PORT": str(free_port()) for service in SERVICES if service.port_of}
    dotenv_file.write_first(tmp_path / "env", ports)
    monkeypatch.setenv("DATAFLIX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATAFLIX_ENV_FILE", str(tmp_path / "env"))
    monkeypatch.setattr(Supervisor, "process", lambda _: object())
    monkeypatch.setattr(Supervisor, "state", lambda *_: "RUNNING")
    monkeypatch.setattr(Supervisor, "pid", lambda *_: 1)
    return stack_settings.load(create=False)


def answers(monkeypatch: pytest.MonkeyPatch, *silent: str) -> None:
    def is_healthy(service: Service, _: Settings) -> bool:
        return service.name not in silent

    monkeypatch.setattr(status, "is_healthy", is_healthy)


def states(capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[str, bool]]:
    rows = json.loads(capsys.readouterr().out)["services"]
    return {row["name"]: (row["state"], row["healthy"]) for row in rows}


def test_only_superset_starts_in_the_background() -> None:
    assert IN_BACKGROUND == ["superset"]


def test_a_background_service_that_is_starting_is_no_failure(
    stack: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(monkeypatch, "superset")
    assert status.status(as_json=True) is True
    found = states(capsys)
    assert found.pop("superset") == ("starting", False)
    assert set(found.values()) == {("running", True)}


def test_any_other_service_that_does_not_answer_is_a_failure(
    stack: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(monkeypatch, "backend")
    assert status.status(as_json=True) is False
    assert states(capsys)["backend"] == ("running", False)


def test_superset_gets_the_passwords_of_its_set_up_and_no_others(stack: Settings) -> None:
    given = {name for name in BY_NAME["superset"].environ(stack) if name.startswith("DATAFLIX_")}
    assert {name for name in given if name.endswith(("PASSWORD", "KEY", "TOKEN"))} == {
        "DATAFLIX_SUPERSET_ADMIN_PASSWORD",
        "DATAFLIX_SUPERSET_SECRET_KEY",
        "DATAFLIX_POSTGRES_SUPERSET_PASSWORD",
        "DATAFLIX_CLICKHOUSE_READER_PASSWORD",
    }
