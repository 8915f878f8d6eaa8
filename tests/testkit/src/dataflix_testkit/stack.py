"""The whole stack, started as a person starts it, in a temporary home on free ports."""

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

from dataflix_testkit.process import CORE_BIN, ROOT, clean_environ, free_ports

_PORTS = ("POSTGRES", "CLICKHOUSE", "S3", "S3_CONSOLE", "MLFLOW", "AIRFLOW", "TRAINER", "BACKEND", "SUPERSET")

# Superset's first set-up gives way to everything else: beside a busy pipeline it took four minutes.
BACKGROUND_TIMEOUT_S = 900


@dataclass
class Stack:
    """A state folder of its own and the commands of the README upon it.

    Attributes:
        data: which data it was started with, where that matters.
    """

    home: Path
    env_file: Path
    environ: dict[str, str]
    settings: dict[str, str] = field(default_factory=dict)
    data: str = ""

    def command(self, *words: str, timeout: int = 900) -> subprocess.CompletedProcess[str]:
        """Run a script of the project's root, e.g. `command("run.sh", "status")`."""
        return self._run([str(ROOT / words[0]), *words[1:]], timeout)

    def script(self, name: str, *words: str, timeout: int = 300) -> subprocess.CompletedProcess[str]:
        """Run a Python program of `scripts/`."""
        return self._run([str(CORE_BIN / "python"), str(ROOT / "scripts" / name), *words], timeout)

    def cli(self, *words: str) -> Any:
        """Run `dataflix ... --json` and return what it printed."""
        result = self._run([str(CORE_BIN / "dataflix"), *words, "--json"], 60)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def url(self, service: str) -> str:
        """Return a service's address."""
        return f"http://127.0.0.1:{self.settings[f'DATAFLIX_{service}_PORT']}"

    def api(self, path: str) -> Any:
        """GET from the API with the key of `.env`."""
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

    def wait_for_superset(self) -> None:
        """Wait until the one service that comes up in the background is there, too."""
        deadline = time.monotonic() + BACKGROUND_TIMEOUT_S
        while '"healthy": false' in self.command("run.sh", "status", "--json").stdout:
            assert time.monotonic() < deadline, self.command("run.sh", "status").stdout
            time.sleep(2)

    def read_settings(self) -> None:
        """Take over what the first run wrote."""
        lines = [line for line in self.env_file.read_text().splitlines() if not line.startswith("#")]
        self.settings = dict(line.split("=", 1) for line in lines)

    def _run(self, command: list[str], timeout: int) -> subprocess.CompletedProcess[str]:
        # From another folder: a command that only works in the root would show here.
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
    """Yield a stack that was never started; at the end it is stopped and its data are deleted."""
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
            ended = stack.command("stop.sh", "--purge", "--yes")
            assert ended.returncode == 0, ended.stderr
            assert not home.exists()
