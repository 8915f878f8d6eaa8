"""Runs `elt_pipeline` once through Airflow and waits for it, a line for each step on stderr."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stack.airflow_api import AirflowApi
from stack.errors import StackError
from stack.progress import say

DAG_ID = "elt_pipeline"

_POLL_S = 1.0
# The DAG processor reads a new file within seconds of its start; half a minute more is for a busy machine.
_DAG_TIMEOUT_S = 120
_ENDED = {"success", "failed", "skipped", "upstream_failed", "removed"}


@dataclass(frozen=True)
class PipelineResult:
    """A run that succeeded."""

    run_id: str
    seconds: float


def run_pipeline(env: Mapping[str, str], *, timeout: float) -> PipelineResult:
    """Trigger a run and wait until it has succeeded.

    Args:
        env: every DATAFLIX_ variable.
        timeout: seconds the run may take.

    Raises:
        StackError: Airflow is away, the DAG can't be read, the run took too long, or it failed: then the end of
            the failed task's log is in the message.
    """
    api = AirflowApi(env)
    _wait_for_dag(api)
    began = time.monotonic()
    run_id = api.trigger(DAG_ID)
    say(f"  {DAG_ID}: run {run_id}")
    told: set[tuple[str, int]] = set()
    while True:
        state = api.run_state(DAG_ID, run_id)
        tasks = api.tasks(DAG_ID, run_id)
        for task in sorted(tasks, key=lambda task: task["end_date"] or ""):
            key = (task["task_id"], task["map_index"])
            if task["state"] in _ENDED and key not in told:
                told.add(key)
                say(_line(task, len(told), len(tasks)))
        if state == "success":
            return PipelineResult(run_id, time.monotonic() - began)
        if state == "failed":
            raise StackError(_failure(api, run_id, tasks))
        if time.monotonic() - began > timeout:
            raise StackError(f"Run {run_id} still goes on after {timeout:.0f} s; Airflow's page shows where.")
        time.sleep(_POLL_S)


def _wait_for_dag(api: AirflowApi) -> None:
    deadline = time.monotonic() + _DAG_TIMEOUT_S
    while not api.dag_is_known(DAG_ID):
        if errors := api.import_errors():
            raise StackError("Airflow can't read the DAG:\n" + "\n".join(errors))
        if time.monotonic() > deadline:
            raise StackError(
                f"Airflow does not know {DAG_ID} after {_DAG_TIMEOUT_S} s; see the dag-processor's log."
            )
        time.sleep(_POLL_S)


def _line(task: Mapping[str, Any], done: int, total: int) -> str:
    name = task["rendered_map_index"] or (str(task["map_index"]) if task["map_index"] >= 0 else "")
    title = task["task_id"] + (f" [{name}]" if name else "")
    mark = task["state"] if task["state"] != "success" else ""
    return f"  {done:>3}/{total:<3} {title:<46} {_seconds(task):6.1f} s {mark}".rstrip()


def _seconds(task: Mapping[str, Any]) -> float:
    if not task["start_date"] or not task["end_date"]:
        return 0.0
    return (
        datetime.fromisoformat(task["end_date"]) - datetime.fromisoformat(task["start_date"])
    ).total_seconds()


def _failure(api: AirflowApi, run_id: str, tasks: list[dict[str, Any]]) -> str:
    failed = [task for task in tasks if task["state"] == "failed"]
    if not failed:
        return f"Run {run_id} failed without a failed task; see Airflow's page."
    first = min(failed, key=lambda task: task["end_date"] or "")
    return (
        f"Run {run_id} failed at {first['task_id']}; nothing was published. The end of its log:\n"
        + api.log_tail(DAG_ID, first)
    )
