"""Compose's commands, with a fake `docker` that records its calls.

No engine is needed: the tests check only the commands and how their output is read.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from dataflix_stack.config.settings import Settings
from dataflix_stack.docker.compose import Compose
from dataflix_stack.errors import StackError

# The second is what Compose would read in another way.
VALUES = {"DATAFLIX_BACKEND_PORT": "6002", "DATAFLIX_SOURCE_PASSWORD": "$HOME it's ${PATH}\\\\ # \\"}


@pytest.fixture
def compose(tmp_path: Path) -> Compose:
    return Compose(Settings(dict(VALUES), tmp_path / "the .env", tmp_path))


def test_a_working_docker_passes(docker: Any, compose: Compose) -> None:
    compose.check()


def test_a_missing_docker_is_reported(
    compose: Compose, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match="there is no command `docker`"):
        compose.check()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((["compose", "version"], 1, "", "docker: unknown command: docker compose\n"), "unknown command"),
        ((["compose", "version"], 0, "1.29.2\n", ""), r"is 1\.29\.2; 2\.7 or newer"),
        ((["compose", "version"], 0, "v2.6.1\n", ""), r"is v2\.6\.1; 2\.7 or newer"),
        ((["info"], 1, "", "Cannot connect to the Docker daemon\n"), "Cannot connect to the Docker daemon"),
    ],
)
def test_an_unusable_docker_is_reported(
    docker: Any, compose: Compose, answer: tuple[list[str], int, str, str], message: str
) -> None:
    docker.answers(answer)
    with pytest.raises(StackError, match=message) as refused:
        compose.check()
    assert "without --docker" in str(refused.value)


def test_up_builds_and_waits_with_the_values_of_the_env_file_alone(
    docker: Any, compose: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATAFLIX_BACKEND_PORT", "1")
    compose.up(["backend", "mlflow"])
    (call,) = docker.calls
    words = call["argv"]
    assert words[:3] == ["compose", "--env-file", os.devnull]
    assert {"up", "--detach", "--build", "--wait"} < set(words)
    assert words[-2:] == ["backend", "mlflow"]
    assert call["dataflix"] == VALUES


def test_a_failed_start_shows_the_log_of_the_first_unhealthy_container(docker: Any, compose: Compose) -> None:
    listed = "\n".join(
        [
            docker.container("postgres"),
            docker.container("s3-bucket", "exited", ""),
            docker.container("backend", health="unhealthy"),
            docker.container("airflow-migrate", "exited", "", 1),
        ]
    )
    docker.answers(
        (["compose", "up"], 1, "", ""),
        (["compose", "ps"], 0, listed, ""),
        (["compose", "logs"], 0, "the last words\n", ""),
    )
    with pytest.raises(StackError, match="the last words") as failed:
        compose.up(["backend"])
    assert "Unhealthy: backend, airflow-migrate." in str(failed.value)
    assert docker.calls[-1]["argv"][-1] == "airflow-migrate"


@pytest.mark.parametrize("form", ["lines", "list"])
def test_containers_are_read_in_both_forms_compose_has_had(docker: Any, compose: Compose, form: str) -> None:
    entries = [
        docker.container("postgres"),
        docker.container("mlflow", health="starting"),
        docker.container("postgres-init", "exited", ""),
    ]
    text = "\n".join(entries) if form == "lines" else f"[{', '.join(entries)}]"
    docker.answers((["compose", "ps"], 0, text, ""))
    well = {container.service: container.is_healthy for container in compose.containers()}
    assert well == {"postgres": True, "mlflow": False, "postgres-init": True}


def test_no_containers_is_no_error(docker: Any, compose: Compose) -> None:
    assert compose.containers() == []


@pytest.mark.parametrize(("purge", "volumes"), [(False, False), (True, True)])
def test_down_takes_the_volumes_only_when_asked(
    docker: Any, compose: Compose, purge: bool, volumes: bool
) -> None:
    compose.down(purge=purge)
    (call,) = docker.calls
    assert ("--volumes" in call["argv"]) is volumes


def test_volumes_are_those_of_the_project(docker: Any, compose: Compose) -> None:
    docker.answers(
        (["compose", "config"], 0, '{"name": "movies"}', ""),
        (["volume", "ls"], 0, "movies_s3\nmovies_models\n", ""),
    )
    assert compose.volumes() == ["movies_s3", "movies_models"]
    assert docker.calls[-1]["argv"][-1] == "label=com.docker.compose.project=movies"


@pytest.mark.parametrize("method", ["containers", "volumes"])
def test_a_refusal_is_reported_with_dockers_message(docker: Any, compose: Compose, method: str) -> None:
    docker.answers((["compose"], 1, "", "warning\npermission denied\n"))
    with pytest.raises(StackError, match="permission denied"):
        getattr(compose, method)()
