"""The few questions that the stack asks Airflow's REST API."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import requests

from dataflix_stack.airflow.environment import USER
from dataflix_stack.errors import StackError

# The API server shares two cores with the tasks it serves.
_TIMEOUT_S = 30
# A restart by the supervisor takes about 15 s on two cores.
_PATIENCE_S = 90
_PAUSE_S = 1.0
_PAGE = 100


@dataclass(frozen=True)
class Task:
    """One task of a run, or one piece of a mapped task.

    Attributes:
        label: the task's name, with what it was mapped over.
        seconds: how long it ran; None while it has not ended.
    """

    task_id: str
    map_index: int
    try_number: int
    state: str
    label: str
    seconds: float | None
    ended_at: str

    @property
    def has_run(self) -> bool:
        """Whether it was started and has ended."""
        return self.state in ("success", "failed", "skipped")


@dataclass(frozen=True)
class LogLine:
    """A line of a task's log."""

    text: str
    is_error: bool


class AirflowApi:
    """A signed-in client."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.url = f"http://{env['DATAFLIX_AIRFLOW_HOST']}:{env['DATAFLIX_AIRFLOW_PORT']}"
        self._session = requests.Session()
        # Proxies of the environment are for the way out, not for our own services.
        self._session.trust_env = False
        body = {"username": USER, "password": env["DATAFLIX_AIRFLOW_ADMIN_PASSWORD"]}
        token = self._ask("POST", "/auth/token", json=body).json()["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def dag(self, dag_id: str) -> dict[str, Any] | None:
        """Return what Airflow knows of a DAG; None when it has not read it yet."""
        answer = self._ask("GET", f"/api/v2/dags/{dag_id}", may_be_missing=True)
        return None if answer.status_code == requests.codes.not_found else dict(answer.json())

    def import_errors(self) -> list[str]:
        """Return why DAG files could not be read."""
        errors = self._ask("GET", "/api/v2/importErrors").json()["import_errors"]
        return [f"{error['filename']}:\n{error['stack_trace']}" for error in errors]

    def trigger(self, dag_id: str, conf: Mapping[str, Any]) -> str:
        """Start a run now with values for the DAG's parameters; returns its id."""
        body = {"logical_date": None, "conf": dict(conf)}
        answer = self._ask("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)
        return str(answer.json()["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return a run's state: queued, running, success or failed."""
        return str(self._ask("GET", self._run_path(dag_id, run_id)).json()["state"])

    def tasks(self, dag_id: str, run_id: str) -> list[Task]:
        """Return a run's tasks with their states."""
        found: list[Task] = []
        while True:
            parameters = {"limit": _PAGE, "offset": len(found)}
            path = f"{self._run_path(dag_id, run_id)}/taskInstances"
            body = self._ask("GET", path, params=parameters).json()
            found += [_task(entry) for entry in body["task_instances"]]
            if not body["task_instances"] or len(found) >= body["total_entries"]:
                return found

    def log(self, dag_id: str, run_id: str, task: Task) -> list[LogLine]:
        """Return the log of a task's last try."""
        path = f"{self._run_path(dag_id, run_id)}/taskInstances/{quote(task.task_id)}/logs/{task.try_number}"
        parameters = {"map_index": task.map_index, "full_content": "true"}
        headers = {"Accept": "application/json"}
        body = self._ask("GET", path, params=parameters, headers=headers).json()
        return [line for entry in body["content"] for line in _log_lines(entry)]

    def _run_path(self, dag_id: str, run_id: str) -> str:
        return f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"

    def _ask(
        self, method: str, path: str, *, may_be_missing: bool = False, **options: Any
    ) -> requests.Response:
        """Ask; while Airflow is away or busy, ask again, unless that could start a run twice.

        Raises:
            StackError: Airflow stays away or refuses.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                answer = self._session.request(method, self.url + path, timeout=_TIMEOUT_S, **options)
                problem = f"{answer.status_code} {answer.text[:300]}"
                if answer.ok or (may_be_missing and answer.status_code == requests.codes.not_found):
                    return answer
                may_pass = answer.status_code >= requests.codes.server_error
            except requests.RequestException as error:
                problem, may_pass = type(error).__name__, True
            repeatable = method == "GET" or path == "/auth/token"
            if not (may_pass and repeatable) or time.monotonic() > deadline:
                raise StackError(f"Airflow at {self.url} failed on {method} {path}: {problem}")
            time.sleep(_PAUSE_S)


def _task(entry: Mapping[str, Any]) -> Task:
    map_index = int(entry["map_index"])
    what = entry.get("rendered_map_index") or str(map_index)
    return Task(
        task_id=entry["task_id"],
        map_index=map_index,
        try_number=int(entry["try_number"]),
        state=entry["state"] or "none",
        label=f"{entry['task_id']} {what}" if map_index >= 0 else entry["task_id"],
        seconds=_seconds(entry["start_date"], entry["end_date"]),
        ended_at=entry["end_date"] or "",
    )


def _seconds(start: str | None, end: str | None) -> float | None:
    if start is None or end is None:
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def _log_lines(entry: Any) -> list[LogLine]:
    """Return a log entry as lines: the event, and the type and words of an exception."""
    if not isinstance(entry, dict):
        return [LogLine(line, is_error=False) for line in str(entry).splitlines()]
    lines = str(entry.get("event", "")).splitlines()
    for error in entry.get("error_detail") or []:
        lines += f"{error.get('exc_type', '')}: {error.get('exc_value', '')}".splitlines()
    return [LogLine(line, entry.get("level") in ("error", "critical")) for line in lines]
