"""run.sh --docker, status and stop.sh with a fake `docker` that records its calls."""

import json
from pathlib import Path
from typing import Any

import pytest

from dataflix_stack import status
from dataflix_stack.config import settings as stack_settings
from dataflix_stack.config.settings import Settings
from dataflix_stack.config.state import State
from dataflix_stack.docker import up as docker_up
from dataflix_stack.docker.compose import docker_settings
from dataflix_stack.docker.up import up_in_docker
from dataflix_stack.errors import StackError
from dataflix_stack.services import data, source
from dataflix_stack.services.data import Chosen
from dataflix_stack.services.registry import BY_NAME, COPY_SERVICE, SERVICES
from dataflix_stack.stop import stop
from dataflix_stack.up import up

# Without a database of one's own.
ALL = sorted(service.name for service in SERVICES if service.name != COPY_SERVICE)


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DATAFLIX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATAFLIX_ENV_FILE", str(tmp_path / "env"))
    monkeypatch.setattr(docker_up, "check_ports_are_free", lambda _: None)
    return stack_settings.load(create=True)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path]]:
    """The steps after `docker compose up`, each with the state folder that it is for."""
    done: list[tuple[str, Path]] = []
    monkeypatch.setattr(data, "load", lambda s, _: done.append(("load", s.home)))
    monkeypatch.setattr(docker_up, "first_pipeline_run", lambda s, _: done.append(("pipeline", s.home)))
    monkeypatch.setattr(docker_up, "print_summary", lambda s, logs: done.append(("page", s.home)))
    return done


def running(docker: Any) -> tuple[list[str], int, str, str]:
    return ["compose", "ps"], 0, "\n".join(map(docker.container, ALL)), ""


def test_services_start_then_data_loads_then_the_pipeline_runs_then_the_summary_prints(
    docker: Any, stack: Settings, work: list[tuple[str, Path]]
) -> None:
    docker.answers((["compose", "config"], 0, '{"name": "main"}', ""))
    up_in_docker(Chosen())
    first, last = [words for words in docker.asked if words.startswith("up ")]
    assert first.endswith(" ".join(name for name in ALL if not BY_NAME[name].in_background))
    assert last.endswith(" superset")
    assert work == [
        ("load", stack.home / "docker"),
        ("pipeline", stack.home / "docker"),
        ("page", stack.home),
    ]
    assert State.read(stack).runtime == "docker"


def test_your_own_database_is_copied_first_and_then_followed(
    docker: Any,
    stack: Settings,
    work: list[tuple[str, Path]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(source, "refuse_unready", lambda _: None)
    description = tmp_path / "dataflix.yml"
    description.touch()
    docker.answers((["compose", "config"], 0, '{"name": "main"}', ""))
    up_in_docker(Chosen(description=description))
    first, follows, _ = [words for words in docker.asked if words.startswith("up ")]
    assert COPY_SERVICE not in first
    assert follows.endswith(f" {COPY_SERVICE}")
    # The file of this service is read by every command, so that the end of the stack is its end, too.
    stop(purge=False, assume_yes=False)
    assert {call["compose_file"] for call in docker.calls if "compose" in call["argv"]} == {
        "docker-compose.yml:docker-compose.source.yml"
    }


def test_a_failed_start_can_be_repeated(docker: Any, stack: Settings, work: list[tuple[str, Path]]) -> None:
    docker.answers(
        (["compose", "config"], 0, '{"name": "main"}', ""), (["compose", "up"], 1, "", "no space left\n")
    )
    with pytest.raises(StackError, match="up failed"):
        up_in_docker(Chosen())
    assert work == []
    docker.answers(running(docker), (["volume", "ls"], 0, "main_postgres\n", ""))
    up_in_docker(Chosen())
    assert [step for step, _ in work] == ["load", "pipeline", "page"]


def test_volumes_of_another_folder_are_left_alone(
    docker: Any, stack: Settings, work: list[tuple[str, Path]]
) -> None:
    docker.answers(
        (["compose", "config"], 0, '{"name": "main"}', ""), (["volume", "ls"], 0, "main_postgres\n", "")
    )
    with pytest.raises(StackError, match=r"main_postgres.*COMPOSE_PROJECT_NAME"):
        up_in_docker(Chosen())
    assert not [words for words in docker.asked if words.startswith("up ")]
    assert State.read(stack).runtime is None
    assert work == []


def test_a_taken_port_is_reported_before_anything_starts(
    docker: Any, stack: Settings, work: list[tuple[str, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(_: Settings) -> None:
        raise StackError("Port 5432 can't be had")

    monkeypatch.setattr(docker_up, "check_ports_are_free", taken)
    docker.answers((["compose", "config"], 0, '{"name": "main"}', ""))
    with pytest.raises(StackError, match="5432"):
        up_in_docker(Chosen())
    assert not [words for words in docker.asked if words.startswith("up ")]
    docker.answers(running(docker), (["compose", "config"], 0, '{"name": "main"}', ""))
    up_in_docker(Chosen())


def test_without_docker_nothing_is_written(
    stack: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match="no command `docker`"):
        up_in_docker(Chosen())
    assert not stack.home.exists()


def test_local_and_docker_stacks_exclude_each_other(
    docker: Any, stack: Settings, work: list[tuple[str, Path]]
) -> None:
    docker.answers((["compose", "config"], 0, '{"name": "main"}', ""))
    up_in_docker(Chosen())
    with pytest.raises(StackError, match=r"started with --docker; run \./stop\.sh"):
        up(Chosen())
    assert State.read(stack).runtime == "docker"


def test_status_checks_the_container_and_the_port(
    docker: Any,
    stack: Settings,
    work: list[tuple[str, Path]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    docker.answers((["compose", "config"], 0, '{"name": "main"}', ""))
    up_in_docker(Chosen())
    exited = docker.container("mlflow", "exited", "", 1)
    listed = [docker.container(name) for name in ALL if name not in ("mlflow", "trainer")]
    docker.answers((["compose", "ps"], 0, "\n".join([*listed, exited]), ""))
    monkeypatch.setattr(
        "dataflix_stack.docker.status.is_healthy", lambda service, _: service.name != "clickhouse"
    )
    assert status.status(as_json=True) is False
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["services"]}
    assert sorted(rows) == ALL
    unhealthy = {name: row["state"] for name, row in rows.items() if not row["healthy"]}
    assert unhealthy == {"mlflow": "exited", "trainer": "stopped", "clickhouse": "running"}
    assert rows["backend"]["port"] == stack.port("BACKEND")
    assert rows["backend"]["log"] == "docker compose logs backend"


def test_stop_keeps_the_data_and_purge_deletes_it(
    docker: Any, stack: Settings, work: list[tuple[str, Path]]
) -> None:
    docker.answers((["compose", "config"], 0, '{"name": "main"}', ""))
    up_in_docker(Chosen())
    stop(purge=False, assume_yes=False)
    assert docker.asked[-1] == "down --remove-orphans"
    assert State.read(stack).runtime is None
    assert docker_settings(stack).home.exists()
    asked = len(docker.asked)
    stop(purge=False, assume_yes=False)
    assert len(docker.asked) == asked
    # The volumes are still there, although nothing runs.
    stop(purge=True, assume_yes=True)
    assert docker.asked[-1] == "down --remove-orphans --volumes"
    assert not stack.home.exists()


def test_stop_of_a_local_stack_does_not_call_docker(docker: Any, stack: Settings) -> None:
    stack_settings.prepare_home(stack.home)
    stop(purge=True, assume_yes=True)
    assert docker.asked == []
    assert not stack.home.exists()
