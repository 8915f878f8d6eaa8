"""Runs `docker compose` and reads the state of the containers from it."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from typing import Any

from dataflix_stack.config.settings import Settings
from dataflix_stack.errors import StackError
from dataflix_stack.paths import ROOT
from dataflix_stack.services.registry import has_source

# The first release whose `up --wait` does not take a job that has ended well for a service that died.
MIN_COMPOSE = (2, 7)

# More than the longest start_period of docker-compose.yml, for a machine that is also building images.
_WAIT_TIMEOUT_S = 600

_LOG_LINES = 15

# Apart from docker-compose.yml, which must work while these variables are empty.
_SOURCE_FILE = "docker-compose.source.yml"


@dataclass(frozen=True)
class Container:
    """The container of one service, as Compose reports it.

    Attributes:
        service: name in docker-compose.yml.
        state: running, exited, restarting, created, ...
        health: healthy, unhealthy or starting; empty without a health check.
        exit_code: of the last run.
    """

    service: str
    state: str
    health: str
    exit_code: int

    @property
    def is_running(self) -> bool:
        """Whether the process runs, healthy or not."""
        return self.state == "running"

    @property
    def is_healthy(self) -> bool:
        """Whether it runs and its health check passes, or is a job that ended with code 0."""
        if self.state == "exited":
            return self.exit_code == 0
        return self.is_running and self.health in ("", "healthy")


def docker_settings(settings: Settings) -> Settings:
    """Return the settings with a state folder for Docker alone: its volumes hold other data."""
    return replace(settings, home=settings.home / "docker")


class Compose:
    """The stack of docker-compose.yml, with the values of `.env`; with a source, of one file more.

    Compose's own variables (COMPOSE_PROJECT_NAME, COMPOSE_FILE) keep their meaning.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def check(self) -> None:
        """Check that Docker can be used.

        Raises:
            StackError: Docker or Compose is missing or too old, or the engine does not answer.
        """
        without = "./run.sh without --docker needs no Docker."
        if shutil.which("docker") is None:
            raise StackError(
                f"--docker needs Docker with Compose, and there is no command `docker` here. {without}"
            )
        version = self._docker("compose", "version", "--short")
        number = re.match(r"v?(\d+)\.(\d+)", version.stdout.strip())
        if version.returncode != 0 or number is None:
            raise StackError(
                f"`docker compose` does not work ({_last_line(version)}): install Docker's Compose plugin. "
                + without
            )
        if (int(number[1]), int(number[2])) < MIN_COMPOSE:
            wanted = ".".join(map(str, MIN_COMPOSE))
            raise StackError(
                f"Docker Compose is {version.stdout.strip()}; {wanted} or newer is needed. {without}"
            )
        engine = self._docker("info", "--format", "{{.ServerVersion}}")
        if engine.returncode != 0:
            raise StackError(
                f"Docker's engine does not answer: {_last_line(engine)}. Start it, and check that your user "
                f"may use it. {without}"
            )

    def up(self, services: list[str]) -> None:
        """Build and start services and their dependencies, and wait until all are healthy.

        Docker's own progress goes to stderr.

        Raises:
            StackError: a build failed or a service is unhealthy; the message has the end of its log.
        """
        arguments = ("up", "--detach", "--build", "--wait", "--wait-timeout", str(_WAIT_TIMEOUT_S), *services)
        result = subprocess.run(
            self._command(*arguments), cwd=ROOT, env=self._environ(), stdout=2, check=False
        )
        if result.returncode != 0:
            raise StackError(f"docker compose up failed; its output is above.{self._describe_unhealthy()}")

    def down(self, *, purge: bool) -> None:
        """Stop and remove the containers.

        Args:
            purge: remove the volumes too.

        Raises:
            StackError: the command failed.
        """
        result = self._compose("down", "--remove-orphans", *(["--volumes"] if purge else []))
        if result.returncode != 0:
            raise StackError(f"docker compose down failed: {_last_line(result)}")

    def containers(self) -> list[Container]:
        """Return all containers of the stack, ended ones included.

        Raises:
            StackError: the command failed.
        """
        listed = self._compose("ps", "--all", "--format", "json")
        if listed.returncode != 0:
            raise StackError(f"docker compose ps failed: {_last_line(listed)}")
        return [
            Container(
                str(entry["Service"]), str(entry["State"]), str(entry["Health"]), int(entry["ExitCode"])
            )
            for entry in _entries(listed.stdout)
        ]

    def restarts(self) -> dict[str, int]:
        """Return how often the engine has started each service's container again.

        Raises:
            StackError: a command failed.
        """
        listed = self._compose("ps", "--all", "--quiet")
        identifiers = listed.stdout.split()
        if listed.returncode != 0:
            raise StackError(f"docker compose ps failed: {_last_line(listed)}")
        if not identifiers:
            return {}
        line = '{{index .Config.Labels "com.docker.compose.service"}} {{.RestartCount}}'
        inspected = self._docker("inspect", "--format", line, *identifiers)
        if inspected.returncode != 0:
            raise StackError(f"docker inspect failed: {_last_line(inspected)}")
        pairs = (entry.split() for entry in inspected.stdout.splitlines() if entry.strip())
        return {service: int(count) for service, count in pairs}

    def log_tail(self, service: str) -> str:
        """Return the last lines of a service's log."""
        log = self._compose("logs", "--no-color", "--no-log-prefix", "--tail", str(_LOG_LINES), service)
        return log.stdout.strip()

    def volumes(self) -> list[str]:
        """Return the names of this Compose project's volumes.

        Raises:
            StackError: the command failed.
        """
        config = self._compose("config", "--format", "json")
        if config.returncode != 0:
            raise StackError(f"docker compose config failed: {_last_line(config)}")
        project = json.loads(config.stdout)["name"]
        label = f"label=com.docker.compose.project={project}"
        listed = self._docker("volume", "ls", "--quiet", "--filter", label)
        if listed.returncode != 0:
            raise StackError(f"docker volume ls failed: {_last_line(listed)}")
        return listed.stdout.split()

    def _describe_unhealthy(self) -> str:
        unhealthy = [container for container in self.containers() if not container.is_healthy]
        if not unhealthy:
            return ""
        # A container that has ended is the cause; the others wait for it.
        first = sorted(unhealthy, key=lambda container: container.state != "exited")[0]
        names = ", ".join(container.service for container in unhealthy)
        return f" Unhealthy: {names}. The end of {first.service}'s log:\n{self.log_tail(first.service)}"

    def _compose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run(self._command(*arguments))

    def _docker(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run(["docker", *arguments])

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=ROOT,
            env=self._environ(),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )

    def _command(self, *arguments: str) -> list[str]:
        # Compose reads a `.env` by rules of its own: it keeps a backslash that ours takes away, for instance.
        return ["docker", "compose", "--env-file", os.devnull, *arguments]

    def _environ(self) -> dict[str, str]:
        shell = {name: value for name, value in os.environ.items() if not name.startswith("DATAFLIX_")}
        environ = {**self._settings.values, **shell}
        if has_source(self._settings):
            chosen = environ.get("COMPOSE_FILE") or "docker-compose.yml"
            environ["COMPOSE_FILE"] = f"{chosen}{os.pathsep}{_SOURCE_FILE}"
        return environ


def _entries(text: str) -> list[dict[str, Any]]:
    # One JSON document a line since Compose 2.21, one list before.
    if text.lstrip().startswith("["):
        return list(json.loads(text))
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def _last_line(result: subprocess.CompletedProcess[str]) -> str:
    return (result.stderr.strip() or result.stdout.strip() or "no output").splitlines()[-1]
