"""The few calls of Airflow's REST API (v2) that running a pipeline takes."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import requests

from stack.errors import StackError

# A busy two-core machine answers slowly while tasks start.
_TIMEOUT_S = 30


class AirflowApi:
    """A signed-in client.

    Raises:
        StackError: (any method) Airflow does not answer or refuses.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._url = f"http://{env['DATAFLIX_AIRFLOW_HOST']}:{env['DATAFLIX_AIRFLOW_PORT']}"
        self._session = requests.Session()
        login = {"username": "admin", "password": env["DATAFLIX_AIRFLOW_ADMIN_PASSWORD"]}
        token = self._call("POST", "/auth/token", json=login).json()["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def dag_is_known(self, dag_id: str) -> bool:
        """Say whether the DAG processor has read the DAG and found it good."""
        answer = self._call("GET", f"/api/v2/dags/{dag_id}", expected=(200, 404))
        return answer.status_code == HTTPStatus.OK

    def import_errors(self) -> list[str]:
        """Return what the DAG processor could not read, file and reason."""
        found = self._call("GET", "/api/v2/importErrors").json()["import_errors"]
        return [f"{entry['filename']}: {entry['stack_trace'].strip()[-1000:]}" for entry in found]

    def trigger(self, dag_id: str) -> str:
        """Start a run and return its id."""
        body: dict[str, object] = {"logical_date": None, "note": "started by run.sh"}
        return str(self._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body).json()["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return queued, running, success or failed."""
        return str(self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}").json()["state"])

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return every task instance of a run, a mapped one for each of its indexes."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        return list(self._call("GET", path, params={"limit": "1000"}).json()["task_instances"])

    def log_tail(self, dag_id: str, task: Mapping[str, Any], lines: int = 15) -> str:
        """Return the end of the log of a task instance's last try."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}"
        path += f"/logs/{task['try_number']}"
        parameters = {"map_index": str(task["map_index"]), "full_content": "true"}
        content = self._call("GET", path, params=parameters).json()["content"]
        texts = [text for text in map(_event_text, content) if text]
        return "\n".join(texts[-lines:])

    def _call(
        self,
        method: str,
        path: str,
        *,
        expected: tuple[int, ...] = (200, 201),
        json: object | None = None,
        params: Mapping[str, str] | None = None,
    ) -> requests.Response:
        headers = {"Accept": "application/json"}
        try:
            answer = self._session.request(
                method, self._url + path, json=json, params=params, headers=headers, timeout=_TIMEOUT_S
            )
        except requests.RequestException as error:
            raise StackError(
                f"Airflow at {self._url} does not answer ({type(error).__name__}); see ./run.sh status."
            ) from error
        if answer.status_code not in expected:
            raise StackError(f"Airflow refused {method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer


def _event_text(event: Mapping[str, Any] | str) -> str:
    if isinstance(event, str):
        return event
    details = "; ".join(
        f"{cause.get('exc_type')}: {cause.get('exc_value')}" for cause in event.get("error_detail") or []
    )
    return " ".join(part for part in (str(event.get("event", "")), details) if part)
