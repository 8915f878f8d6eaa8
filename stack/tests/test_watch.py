"""While the pipeline runs, a service that keeps dying or hangs ends the wait, with the end of its log."""

from pathlib import Path
from typing import Any

import pytest

from dataflix_stack.config import settings as stack_settings
from dataflix_stack.config.settings import Settings
from dataflix_stack.docker import watch as docker_watch
from dataflix_stack.docker.compose import Compose
from dataflix_stack.docker.watch import ContainerWatch
from dataflix_stack.errors import StackError
from dataflix_stack.services import watch
from dataflix_stack.services.registry import SERVICES
from dataflix_stack.services.supervisor import Program, Supervisor
from dataflix_stack.services.watch import ServiceWatch


class FakeSupervisor(Supervisor):
    """A supervisor whose programs all run, except those that a test changes."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.changed: dict[str, Program] = {}

    def programs(self) -> list[Program]:
        return [
            self.changed.get(service.name, Program(service.name, "RUNNING", number + 1))
            for number, service in enumerate(SERVICES)
        ]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DATAFLIX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATAFLIX_ENV_FILE", str(tmp_path / "env"))
    settings = stack_settings.load(create=True)
    stack_settings.prepare_home(settings.home)
    return settings


def test_a_service_that_keeps_dying_is_named_with_the_end_of_its_log(settings: Settings) -> None:
    (settings.logs / "airflow-scheduler.log").write_text("OSError: AF_UNIX path too long\n")
    supervisor = FakeSupervisor(settings)
    watched = ServiceWatch(settings, supervisor)
    for pid in (1000, 1001, 1002):
        supervisor.changed["airflow-scheduler"] = Program("airflow-scheduler", "RUNNING", pid)
        watched.check()
    supervisor.changed["airflow-scheduler"] = Program("airflow-scheduler", "RUNNING", 1003)
    with pytest.raises(StackError, match=r"(?s)airflow-scheduler keeps dying.*AF_UNIX path too long"):
        watched.check()


def test_a_service_that_the_supervisor_has_given_up_is_named_at_once(settings: Settings) -> None:
    supervisor = FakeSupervisor(settings)
    supervisor.changed["trainer"] = Program("trainer", "FATAL", None)
    with pytest.raises(StackError, match="trainer keeps dying"):
        ServiceWatch(settings, supervisor).check()


def test_a_few_deaths_are_no_reason_to_end_a_run(settings: Settings) -> None:
    supervisor = FakeSupervisor(settings)
    watched = ServiceWatch(settings, supervisor)
    for pid in (1000, 1001, 1002, 1002, 1002):
        supervisor.changed["mlflow"] = Program("mlflow", "RUNNING", pid)
        watched.check()


def test_deaths_are_forgotten(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = FakeSupervisor(settings)
    watched = ServiceWatch(settings, supervisor)
    monkeypatch.setattr(watch, "_WINDOW_S", 0)
    for pid in range(1000, 1010):
        supervisor.changed["mlflow"] = Program("mlflow", "RUNNING", pid)
        watched.check()


def test_a_background_service_may_die(settings: Settings) -> None:
    supervisor = FakeSupervisor(settings)
    supervisor.changed["superset"] = Program("superset", "FATAL", None)
    ServiceWatch(settings, supervisor).check()


def test_a_service_that_hangs_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_HEALTH_INTERVAL_S", 0)
    monkeypatch.setattr(watch, "is_healthy", lambda service, _: service.name != "clickhouse")
    watched = ServiceWatch(settings, FakeSupervisor(settings))
    watched._healthy_at = dict.fromkeys(watched._healthy_at, -1000.0)
    with pytest.raises(StackError, match="clickhouse was not healthy"):
        watched.check()


def test_a_supervisor_that_has_ended_is_reported(settings: Settings) -> None:
    with pytest.raises(StackError, match="supervisor does not answer"):
        ServiceWatch(settings, Supervisor(settings)).check()


def test_a_container_that_keeps_dying_is_named(
    settings: Settings, docker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_watch, "_INTERVAL_S", 0)
    watched = ContainerWatch(Compose(settings))

    def restarts(count: int) -> None:
        docker.answers(
            (["compose", "ps"], 0, "a1\nb2\n", ""),
            (["inspect"], 0, f"mlflow 7\ntrainer {count}\n", ""),
            (["compose", "logs"], 0, "no space left\n", ""),
        )

    for count in (5, 6, 7):
        restarts(count)
        watched.check()
    restarts(8)
    with pytest.raises(StackError, match=r"(?s)trainer keeps dying.*no space left"):
        watched.check()
