"""Client of the part of Airflow's REST API that the stack uses."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import requests
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from dataflix_stack.airflow.environment import USER
from dataflix_stack.errors import StackError

# The API server shares the cores with the tasks that it serves.
_TIMEOUT_S = 30
# A restart by the supervisor takes about 15 s on two cores.
_RETRY_TIMEOUT_S = 90
_RETRY_WAIT_S = 1.0
_PAGE = 100
_TOO_MANY = requests.codes.too_many_requests


# How Airflow says that reading a DAG file took too long. It reads the file again later.
SLOW_IMPORT = "AirflowTaskTimeout"
# The line of a traceback that says what was raised.
_RAISED = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Timeout|Warning)\b.*", re.MULTILINE)
_MAX_REASON = 500


def import_error(error: Mapping[str, Any]) -> str:
    """Return what Airflow says about a DAG file that it cannot import, without the traceback."""
    trace = str(error["stack_trace"]).strip()
    raised = _RAISED.findall(trace) or trace.splitlines()[-1:] or ["no reason given"]
    return f"{error['filename']} can't be read: {raised[-1][:_MAX_REASON]}"


@dataclass(frozen=True)
class Task:
    """One task of a run, or one piece of a mapped task.

    Attributes:
        label: the task's name; of a mapped task also the value it was mapped over.
        seconds: how long it ran; None until it has ended.
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
    """One line of a task's log."""

    text: str
    is_error: bool


class _TransientError(StackError):
    """Airflow is unreachable or busy; the same request may succeed later."""


class AirflowApi:
    """A client that has signed in as the administrator.

    Args:
        env: DATAFLIX_AIRFLOW_HOST, _PORT and _ADMIN_PASSWORD.
        while_retrying: called before each repetition of a request; what it raises ends the wait.
    """

    def __init__(self, env: Mapping[str, str], while_retrying: Callable[[], None] = lambda: None) -> None:
        self._while_retrying = while_retrying
        self.url = f"http://{env['DATAFLIX_AIRFLOW_HOST']}:{env['DATAFLIX_AIRFLOW_PORT']}"
        self._session = requests.Session()
        # Proxies of the environment lead outside, not to our own services.
        self._session.trust_env = False
        body = {"username": USER, "password": env["DATAFLIX_AIRFLOW_ADMIN_PASSWORD"]}
        token = _json(self._request("POST", "/auth/token", json=body))["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def dag(self, dag_id: str) -> dict[str, Any] | None:
        """Return Airflow's record of a DAG; None until Airflow has read its file."""
        response = self._request("GET", f"/api/v2/dags/{dag_id}", may_be_missing=True)
        return None if response.status_code == requests.codes.not_found else _json(response)

    def import_errors(self) -> list[str]:
        """Return one sentence for each DAG file that Airflow cannot import."""
        errors = _json(self._request("GET", "/api/v2/importErrors"))["import_errors"]
        return list(map(import_error, errors))

    def trigger(self, dag_id: str, conf: Mapping[str, Any]) -> str:
        """Start a run now and return its id.

        Args:
            dag_id: the DAG.
            conf: values of the DAG's parameters.
        """
        body = {"logical_date": None, "conf": dict(conf)}
        response = self._request("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)
        return str(_json(response)["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return a run's state: queued, running, success or failed."""
        return str(_json(self._request("GET", self._run_path(dag_id, run_id)))["state"])

    def tasks(self, dag_id: str, run_id: str) -> list[Task]:
        """Return all tasks of a run with their states."""
        tasks: list[Task] = []
        while True:
            parameters = {"limit": _PAGE, "offset": len(tasks)}
            path = f"{self._run_path(dag_id, run_id)}/taskInstances"
            body = _json(self._request("GET", path, params=parameters))
            tasks += [_task(entry) for entry in body["task_instances"]]
            if not body["task_instances"] or len(tasks) >= body["total_entries"]:
                return tasks

    def log(self, dag_id: str, run_id: str, task: Task) -> list[LogLine]:
        """Return the log of a task's latest try."""
        path = f"{self._run_path(dag_id, run_id)}/taskInstances/{quote(task.task_id)}/logs/{task.try_number}"
        parameters = {"map_index": task.map_index, "full_content": "true"}
        headers = {"Accept": "application/json"}
        body = _json(self._request("GET", path, params=parameters, headers=headers))
        return [line for entry in body["content"] for line in _log_lines(entry)]

    def _run_path(self, dag_id: str, run_id: str) -> str:
        return f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"

    def _request(
        self, method: str, path: str, *, may_be_missing: bool = False, **options: Any
    ) -> requests.Response:
        """Send a request; repeat it while Airflow is unreachable or busy, unless that may start a second run.

        Raises:
            StackError: Airflow stays unreachable or refuses the request.
        """

        def send() -> requests.Response:
            return self._send(method, path, may_be_missing=may_be_missing, **options)

        if method != "GET" and path != "/auth/token":
            return send()
        retries = Retrying(
            retry=retry_if_exception_type(_TransientError),
            stop=stop_after_delay(_RETRY_TIMEOUT_S),
            wait=wait_fixed(_RETRY_WAIT_S),
            before_sleep=lambda _: self._while_retrying(),
            reraise=True,
        )
        return retries(send)

    def _send(self, method: str, path: str, *, may_be_missing: bool, **options: Any) -> requests.Response:
        failed = f"Airflow at {self.url} failed on {method} {path}: "
        try:
            response = self._session.request(method, self.url + path, timeout=_TIMEOUT_S, **options)
        except requests.RequestException as error:
            raise _TransientError(failed + type(error).__name__) from error
        if response.ok or (may_be_missing and response.status_code == requests.codes.not_found):
            return response
        # Airflow repeats a log-in that it refuses, with the password.
        detail = "" if path == "/auth/token" else f" {response.text[:300]}"
        message = f"{failed}{response.status_code}{detail}"
        # 429: too many failed log-ins, by anybody; the next minute allows new ones.
        if response.status_code >= requests.codes.server_error or response.status_code == _TOO_MANY:
            raise _TransientError(message)
        raise StackError(message)


def _json(response: requests.Response) -> dict[str, Any]:
    try:
        return dict(response.json())
    except (ValueError, TypeError) as error:
        raise StackError(
            f"{response.url} did not answer as Airflow does; another program has its port."
        ) from error


def _task(entry: Mapping[str, Any]) -> Task:
    map_index = int(entry["map_index"])
    mapped_over = entry.get("rendered_map_index") or str(map_index)
    return Task(
        task_id=entry["task_id"],
        map_index=map_index,
        try_number=int(entry["try_number"]),
        state=entry["state"] or "none",
        label=f"{entry['task_id']} {mapped_over}" if map_index >= 0 else entry["task_id"],
        seconds=_seconds(entry["start_date"], entry["end_date"]),
        ended_at=entry["end_date"] or "",
    )


def _seconds(start: str | None, end: str | None) -> float | None:
    if start is None or end is None:
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def _log_lines(entry: Any) -> list[LogLine]:
    """Return a log entry as lines: the event, and the type and message of an exception."""
    if not isinstance(entry, dict):
        return [LogLine(line, is_error=False) for line in str(entry).splitlines()]
    lines = str(entry.get("event", "")).splitlines()
    for error in entry.get("error_detail") or []:
        lines += f"{error.get('exc_type', '')}: {error.get('exc_value', '')}".splitlines()
    return [LogLine(line, entry.get("level") in ("error", "critical")) for line in lines]
