"""Docker Compose as the other way to run the stack: its commands, and what it knows of each service."""

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

# The first release whose `up --wait` knows that a job which has ended well is not a service that died.
MIN_COMPOSE = (2, 7)

# Longer than the slowest start_period of docker-compose.yml, on a machine that builds at the same time.
_WAIT_TIMEOUT_S = 600

_LOG_LINES = 15


@dataclass(frozen=True)
class Container:
    """What Compose says of one service's container.

    Attributes:
        state: running, exited, restarting, created, ...
        health: healthy, unhealthy, starting; empty for one without a check.
    """

    service: str
    state: str
    health: str
    exit_code: int

    @property
    def is_running(self) -> bool:
        """Whether its process runs, healthy or not."""
        return self.state == "running"

    @property
    def is_healthy(self) -> bool:
        """Whether it runs and is not known to be unhealthy, or is a job that ended well."""
        if self.state == "exited":
            return self.exit_code == 0
        return self.is_running and self.health in ("", "healthy")


def in_docker(settings: Settings) -> Settings:
    """Return the settings with a state folder of their own.

    What was loaded into Docker's volumes is not what was loaded without Docker.
    """
    return replace(settings, home=settings.home / "docker")


class Compose:
    """The stack of docker-compose.yml, with the values of `.env`.

    Compose's own variables (COMPOSE_PROJECT_NAME, COMPOSE_FILE) work as ever.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def check(self) -> None:
        """Make sure that Docker can be used.

        Raises:
            StackError: no docker, no Compose, one that is too old, or no engine that answers.
        """
        without = "./run.sh, without --docker, needs none of it."
        if shutil.which("docker") is None:
            raise StackError(
                f"--docker needs Docker with Compose, and there is no command `docker`. {without}"
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
                f"Docker's engine does not answer: {_last_line(engine)}. Start it, and see to it that you "
                f"may use it. {without}"
            )

    def up(self, services: list[str]) -> None:
        """Build and start services with all they depend on; return when each is healthy.

        Docker's own progress goes to stderr.

        Raises:
            StackError: an image did not build, or a service is not well; the end of its log is in it.
        """
        words = ("up", "--detach", "--build", "--wait", "--wait-timeout", str(_WAIT_TIMEOUT_S), *services)
        result = subprocess.run(self._words(*words), cwd=ROOT, env=_environ(), stdout=2, check=False)
        if result.returncode != 0:
            raise StackError(f"docker compose up failed; its words are above.{self._describe_unhealthy()}")

    def down(self, *, purge: bool) -> None:
        """Stop and remove the containers; with `purge`, the volumes too.

        Raises:
            StackError: Docker refused.
        """
        result = self._compose("down", "--remove-orphans", *(["--volumes"] if purge else []))
        if result.returncode != 0:
            raise StackError(f"docker compose down failed: {_last_line(result)}")

    def containers(self) -> list[Container]:
        """Return every container of the stack, ended ones too.

        Raises:
            StackError: Docker refused.
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

    def volumes(self) -> list[str]:
        """Return the names of the volumes Docker has for this project.

        Raises:
            StackError: Docker refused.
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
        # What others wait for ends first, and is the one to read.
        first = sorted(unhealthy, key=lambda container: container.state != "exited")[0]
        log = self._compose("logs", "--no-color", "--no-log-prefix", "--tail", str(_LOG_LINES), first.service)
        names = ", ".join(container.service for container in unhealthy)
        return f" Not well: {names}. The end of {first.service}'s log:\n{log.stdout.strip()}"

    def _compose(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._run(self._words(*words))

    def _docker(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._run(["docker", *words])

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=ROOT, env=_environ(), capture_output=True, text=True, check=False)

    def _words(self, *words: str) -> list[str]:
        return ["docker", "compose", "--env-file", str(self._settings.env_file), *words]


def _environ() -> dict[str, str]:
    # `.env` decides; Compose would let a variable of the shell win over it.
    return {name: value for name, value in os.environ.items() if not name.startswith("DATAFLIX_")}


def _entries(text: str) -> list[dict[str, Any]]:
    # One JSON document per line since Compose 2.21, one list before.
    if text.lstrip().startswith("["):
        return list(json.loads(text))
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def _last_line(result: subprocess.CompletedProcess[str]) -> str:
    return (result.stderr.strip() or result.stdout.strip() or "without a word").splitlines()[-1]
