"""run_pipeline prints a line for each task and reports why a run failed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from dataflix_stack.airflow import pipeline
from dataflix_stack.airflow.api import LogLine, Task, import_error
from dataflix_stack.airflow.pipeline import run_pipeline
from dataflix_stack.errors import StackError

PRODUCER = "dbt.dbt_producer_watcher"


def task(name: str, state: str, ended_at: str = "", seconds: float | None = 1.5) -> Task:
    return Task(name, -1, 1, state, name, seconds if ended_at else None, ended_at)


@dataclass
class FakeAirflow:
    """Airflow as the pipeline sees it: each look at the run shows the next state and its tasks."""

    looks: list[tuple[str, list[Task]]]
    dag_answers: list[dict[str, Any] | None] = field(default_factory=lambda: [{"is_paused": False}])
    errors: list[str] = field(default_factory=list)
    logs: dict[str, list[LogLine]] = field(default_factory=dict)
    url: str = "http://airflow"
    triggered: int = 0
    conf: Mapping[str, bool] = field(default_factory=dict)

    def dag(self, _: str) -> dict[str, Any] | None:
        return self.dag_answers.pop(0) if len(self.dag_answers) > 1 else self.dag_answers[0]

    def import_errors(self) -> list[str]:
        return self.errors

    def trigger(self, _: str, conf: Mapping[str, bool]) -> str:
        self.triggered += 1
        self.conf = conf
        return "the-run"

    def run_state(self, _: str, __: str) -> str:
        return self.looks[0][0]

    def tasks(self, _: str, __: str) -> list[Task]:
        return (self.looks.pop(0) if len(self.looks) > 1 else self.looks[0])[1]

    def log(self, _: str, __: str, task: Task) -> list[LogLine]:
        return self.logs[task.task_id]


Use = Callable[[FakeAirflow], FakeAirflow]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    monkeypatch.setattr(pipeline, "_POLL_S", 0.0)

    def put(fake: FakeAirflow) -> FakeAirflow:
        monkeypatch.setattr(pipeline, "AirflowApi", lambda *_: fake)
        return fake

    return put


def test_each_step_has_one_line_when_it_ends(use: Use) -> None:
    load, train = task("load", "success", "1"), task("train", "success", "2")
    airflow = FakeAirflow(
        [("queued", []), ("running", [load, task("train", "running")]), ("success", [train, load])]
    )
    use(airflow)
    lines: list[str] = []

    result = run_pipeline({}, timeout=10, full=True, out=lines.append)

    assert [line.split() for line in lines] == [["load", "1.5", "s"], ["train", "1.5", "s"]]
    assert (result.run_id, result.steps) == ("the-run", {"load": 1.5, "train": 1.5})
    assert airflow.conf == {"full": True, "accept_source": False}


def test_a_failed_dbt_test_is_reported_from_the_build_log(use: Use) -> None:
    failed = [
        task(PRODUCER, "failed", "2"),
        task("dbt.dim_movies", "failed", "1"),
        task("dbt.fct_ratings", "upstream_failed", "3"),
    ]
    log = [
        LogLine("starting", False),
        LogLine("Failure in test unique_movie_id", True),
        LogLine('{"data": 1}', True),
    ]
    use(FakeAirflow([("failed", failed)], logs={PRODUCER: log}))
    lines: list[str] = []

    with pytest.raises(StackError, match=r"failed at dbt\.dim_movies; nothing was published") as caught:
        run_pipeline({}, timeout=10, out=lines.append)

    assert "Failure in test unique_movie_id" in str(caught.value)
    assert "starting" not in str(caught.value)
    assert "{" not in str(caught.value)
    assert "http://airflow/dags/elt_pipeline/runs/the-run" in str(caught.value)
    assert [line.split()[0] for line in lines] == ["dbt.dim_movies", PRODUCER]


def test_a_log_without_errors_is_reported_with_its_last_lines(use: Use) -> None:
    log = [LogLine(f"line {number}", False) for number in range(100)]
    use(FakeAirflow([("failed", [task("train", "failed", "1")])], logs={"train": log}))

    with pytest.raises(StackError, match="line 99") as caught:
        run_pipeline({}, timeout=10, out=lambda _: None)

    assert "line 50" not in str(caught.value)


def test_it_waits_until_airflow_has_read_the_dag(use: Use) -> None:
    fake = use(FakeAirflow([("success", [])], dag_answers=[None, None, {"is_paused": False}]))

    run_pipeline({}, timeout=10, out=lambda _: None)

    assert fake.triggered == 1


@pytest.mark.parametrize(
    ("fake", "said"),
    [
        (FakeAirflow([], dag_answers=[{"is_paused": True}]), "is paused: resume it at http://airflow/dags/"),
        (FakeAirflow([], dag_answers=[None], errors=["elt_pipeline.py:\nNo such model"]), "No such model"),
    ],
)
def test_a_dag_that_cannot_run_is_not_triggered(use: Use, fake: FakeAirflow, said: str) -> None:
    use(fake)

    with pytest.raises(StackError, match=said):
        run_pipeline({}, timeout=10, out=lambda _: None)

    assert fake.triggered == 0


TRACE = """Traceback (most recent call last):
  File "selectors.py", line 415, in select
    fd_event_list = self._selector.poll(timeout)
ValueError: inner
airflow.sdk.exceptions.{raised}
Please take a look at these docs:
* https://airflow.apache.org/docs, PID: 23426
"""


@pytest.mark.parametrize(
    ("trace", "reason"),
    [
        (TRACE.format(raised="AirflowTaskTimeout: timeout after 120.0s."), "AirflowTaskTimeout: timeout"),
        (TRACE.format(raised="AirflowException"), "AirflowException"),
        ("SyntaxError: invalid syntax (x.py, line 3)", "SyntaxError: invalid syntax"),
        ("something else\n", "something else"),
        ("", "no reason given"),
    ],
)
def test_what_airflow_cannot_read_is_told_in_one_line(trace: str, reason: str) -> None:
    said = import_error({"filename": "elt_pipeline.py", "stack_trace": trace})
    assert reason in said
    assert said.startswith("elt_pipeline.py can't be read: ")
    assert len(said.splitlines()) == 1


def test_a_dag_that_was_read_too_slowly_is_waited_for(use: Use) -> None:
    slow = import_error({"filename": "x.py", "stack_trace": TRACE.format(raised="AirflowTaskTimeout: 120 s")})
    load = task("load", "success", "1")
    answers = [None, None, {"is_paused": False}]
    airflow = use(FakeAirflow([("success", [load])], dag_answers=answers, errors=[slow]))
    run_pipeline({}, timeout=10, out=lambda _: None)
    assert airflow.triggered == 1
    airflow = use(FakeAirflow([], dag_answers=[None], errors=[slow]))
    with pytest.raises(StackError, match=r"AirflowTaskTimeout: 120 s\. This machine is too busy"):
        run_pipeline({}, timeout=0, out=lambda _: None)
    assert airflow.triggered == 0


def test_a_run_that_takes_too_long_is_left_running(use: Use) -> None:
    use(FakeAirflow([("running", [])]))

    with pytest.raises(StackError, match="still running after 0 s: http://airflow/"):
        run_pipeline({}, timeout=0, out=lambda _: None)
