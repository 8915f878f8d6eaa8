"""Runs `elt_pipeline` in Airflow, prints a line for each task that ends, and waits for the end of the run."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dataflix_stack.airflow.api import SLOW_IMPORT, AirflowApi, Task
from dataflix_stack.errors import StackError
from dataflix_stack.progress import say

DAG_ID = "elt_pipeline"

# Each request for the run's state costs the API server about 50 ms of a core.
_POLL_S = 1.0
_LOG_LINES = 25

_DBT_BUILD = "dbt.dbt_producer_watcher"


@dataclass(frozen=True)
class PipelineResult:
    """A run that succeeded.

    Attributes:
        run_id: Airflow's id of the run.
        seconds: time from the trigger to the end.
        steps: seconds that each task ran, by its label.
    """

    run_id: str
    seconds: float
    steps: dict[str, float]


def run_pipeline(
    env: Mapping[str, str],
    *,
    timeout: float,
    full: bool = False,
    accept_source: bool = False,
    out: Callable[[str], None] = say,
    watch: Callable[[], None] = lambda: None,
) -> PipelineResult:
    """Start a run and wait for it.

    Args:
        env: DATAFLIX_AIRFLOW_HOST, _PORT and _ADMIN_PASSWORD.
        timeout: seconds after which the run must have ended.
        full: load whole tables instead of changes.
        accept_source: replace what was loaded from another database.
        out: called with a line for each task that has ended.
        watch: called about once a second while the run is waited for; what it raises ends the wait.

    Raises:
        StackError: Airflow cannot read the DAG, the DAG is paused, the run failed (the message has the end of
            the log of the task that failed first), or the run took longer than `timeout`.
    """
    began = time.monotonic()
    deadline = began + timeout
    api = AirflowApi(env, watch)
    _wait_for_dag(api, deadline, watch)
    run_id = api.trigger(DAG_ID, {"full": full, "accept_source": accept_source})
    reported: dict[tuple[str, int], Task] = {}
    while True:
        watch()
        # The state is read first, so that no task of an ended run is missed.
        state = api.run_state(DAG_ID, run_id)
        tasks = api.tasks(DAG_ID, run_id)
        for task in sorted(tasks, key=lambda task: task.ended_at):
            if task.has_run and (task.task_id, task.map_index) not in reported:
                reported[task.task_id, task.map_index] = task
                out(_line(task))
        if state == "success":
            steps = {task.label: task.seconds for task in reported.values() if task.seconds is not None}
            return PipelineResult(run_id, time.monotonic() - began, steps)
        if state == "failed":
            raise StackError(_failure(api, run_id, tasks))
        if time.monotonic() > deadline:
            url = _run_url(api, run_id)
            raise StackError(f"The run {run_id} of {DAG_ID} is still {state} after {timeout:.0f} s: {url}")
        time.sleep(_POLL_S)


def _wait_for_dag(api: AirflowApi, deadline: float, watch: Callable[[], None]) -> None:
    while True:
        watch()
        dag = api.dag(DAG_ID)
        if dag is not None:
            if dag["is_paused"]:
                raise StackError(f"{DAG_ID} is paused: resume it at {api.url}/dags/{DAG_ID}, then try again.")
            return
        errors = api.import_errors()
        if lasting := [error for error in errors if SLOW_IMPORT not in error]:
            raise StackError("Airflow: " + "; ".join(lasting) + ". More is in airflow-dag-processor.log.")
        if time.monotonic() > deadline and errors:
            raise StackError("Airflow: " + "; ".join(errors) + ". This machine is too busy.")
        if time.monotonic() > deadline:
            raise StackError(f"Airflow at {api.url} has not found {DAG_ID}; see airflow-dag-processor.log.")
        time.sleep(_POLL_S)


def _line(task: Task) -> str:
    took = "" if task.seconds is None else f"{task.seconds:6.1f} s"
    return f"  {task.label:<44} {took}" + ("" if task.state == "success" else f"  {task.state}")


def _failure(api: AirflowApi, run_id: str, tasks: list[Task]) -> str:
    failed = sorted((task for task in tasks if task.state == "failed"), key=lambda task: task.ended_at)
    if not failed:
        return f"The run {run_id} of {DAG_ID} failed: {_run_url(api, run_id)}"
    # A model's own task only watches the build; the reason of the failure is in the build's log.
    logged = next((task for task in failed if task.task_id == _DBT_BUILD), failed[0])
    # The log has dbt's output twice: as text and as JSON.
    lines = [line for line in api.log(DAG_ID, run_id, logged) if not line.text.startswith('{"')]
    errors = [line for line in lines if line.is_error] or lines
    log = "\n".join(f"  {line.text}" for line in errors[-_LOG_LINES:])
    failure = f"{DAG_ID} failed at {failed[0].label}; nothing was published."
    return f"{failure} From the log of {logged.label}:\n{log}\nThe whole log: {_run_url(api, run_id)}"


def _run_url(api: AirflowApi, run_id: str) -> str:
    return f"{api.url}/dags/{DAG_ID}/runs/{run_id}"
