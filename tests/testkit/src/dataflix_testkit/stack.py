"""The whole stack, started with the commands of the README, in a temporary folder on free ports."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from dotenv import dotenv_values

from dataflix_stack.config.settings import Settings
from dataflix_stack.services.registry import BY_NAME
from dataflix_stack.services.startup import is_healthy
from dataflix_stack.services.supervisor import Supervisor
from dataflix_testkit.application import Application
from dataflix_testkit.process import CORE_BIN, ROOT, clean_environ, free_ports

_PORTS = ("POSTGRES", "CLICKHOUSE", "S3", "S3_CONSOLE", "MLFLOW", "AIRFLOW", "TRAINER", "BACKEND", "SUPERSET")

# Superset's first set-up runs at the lowest priority: next to a busy pipeline it took four minutes.
BACKGROUND_TIMEOUT_S = 900
_POLL_S = 0.5


@dataclass
class Stack:
    """A stack with its own state folder, and the commands of the README for it.

    Attributes:
        home: the state folder (DATAFLIX_HOME).
        settings: the contents of `.env`, after the first start.
        data: the name of the data set that it was started with.
        application: whose database it is to copy; such a stack is started by its test.
    """

    home: Path
    env_file: Path
    environ: dict[str, str]
    settings: dict[str, str] = field(default_factory=dict)
    data: str = ""
    application: Application | None = None

    def command(self, *words: str, timeout: int = 900) -> subprocess.CompletedProcess[str]:
        """Run a script from the root of the project, e.g. `command("run.sh", "status")`."""
        return self._run([str(ROOT / words[0]), *words[1:]], timeout)

    def script(self, name: str, *words: str, timeout: int = 300) -> subprocess.CompletedProcess[str]:
        """Run a Python program from `scripts/`."""
        return self._run([str(CORE_BIN / "python"), str(ROOT / "scripts" / name), *words], timeout)

    def cli(self, *words: str) -> Any:
        """Run `dataflix ... --json` and return the parsed output."""
        result = self._run([str(CORE_BIN / "dataflix"), *words, "--json"], 60)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def url(self, service: str) -> str:
        """Return the address of a service."""
        return f"http://127.0.0.1:{self.settings[f'DATAFLIX_{service}_PORT']}"

    def api(self, path: str) -> Any:
        """GET from the API with the key from `.env`."""
        headers = {"X-API-Key": self.settings["DATAFLIX_API_KEY"]}
        answer = requests.get(self.url("BACKEND") + path, headers=headers, timeout=30)
        assert answer.ok, answer.text
        return answer.json()

    def airflow(self, path: str) -> Any:
        """GET from Airflow's API, e.g. `airflow("dags")`."""
        login = {"username": "admin", "password": self.settings["DATAFLIX_AIRFLOW_ADMIN_PASSWORD"]}
        token = requests.post(self.url("AIRFLOW") + "/auth/token", json=login, timeout=30).json()[
            "access_token"
        ]
        headers = {"Authorization": f"Bearer {token}"}
        answer = requests.get(f"{self.url('AIRFLOW')}/api/v2/{path}", headers=headers, timeout=30)
        assert answer.ok, answer.text
        return answer.json()

    def pid(self, service: str) -> int | None:
        """Return the process id of a service, or None if it is not running."""
        return self._supervisor().pid(BY_NAME[service])

    def is_healthy(self, service: str) -> bool:
        """Return whether a service runs and passes its health check, as `./run.sh status` does."""
        found = BY_NAME[service]
        return self._supervisor().state(found) == "RUNNING" and is_healthy(found, self._stack_settings())

    def wait_for_superset(self) -> None:
        """Wait for Superset, the only service that `./run.sh` does not wait for."""
        deadline = time.monotonic() + BACKGROUND_TIMEOUT_S
        while not self.is_healthy("superset"):
            assert time.monotonic() < deadline, self.command("run.sh", "status").stdout
            time.sleep(_POLL_S)

    def read_settings(self) -> None:
        """Read the `.env` that the first start has written."""
        values = dotenv_values(self.env_file, interpolate=False)
        self.settings = {name: value or "" for name, value in values.items()}

    def _stack_settings(self) -> Settings:
        return Settings({**self.settings, "DATAFLIX_HOME": str(self.home)}, self.env_file, self.home)

    def _supervisor(self) -> Supervisor:
        return Supervisor(self._stack_settings())

    def _run(self, command: list[str], timeout: int) -> subprocess.CompletedProcess[str]:
        # From another folder, so that a command fails if it works only in the root of the project.
        return subprocess.run(
            command,
            env=self.environ,
            cwd=self.home.parent,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


@contextmanager
def fresh_stack() -> Iterator[Stack]:
    """Yield a stack that was never started; stop it at the end and delete its data."""
    with tempfile.TemporaryDirectory(prefix="dataflix-e2e-", ignore_cleanup_errors=True) as folder:
        numbers = zip(_PORTS, free_ports(len(_PORTS)), strict=True)
        ports = {f"DATAFLIX_{name}_PORT": str(port) for name, port in numbers}
        home, env_file = Path(folder) / "the home", Path(folder) / "settings.env"
        moved = {"DATAFLIX_HOME": str(home), "DATAFLIX_ENV_FILE": str(env_file)}
        environ = clean_environ({**ports, **moved, "HOME": os.environ.get("HOME", folder)})
        stack = Stack(home, env_file, environ)
        try:
            yield stack
        finally:
            stopped = stack.command("stop.sh", "--purge", "--yes")
            assert stopped.returncode == 0, stopped.stderr
            assert not home.exists()
