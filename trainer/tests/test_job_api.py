"""The job API end to end: a real server, real processes, real services."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from dataflix_testkit import free_port

WAIT_S = 240  # for a job on a busy machine; one takes seconds


class Api:
    """A client of one running server."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, token: str) -> None:
        self.process = process
        self._port = port
        self._url = f"http://127.0.0.1:{port}"
        self._headers = {"Authorization": f"Bearer {token}"}

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=60)

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self._url + path, timeout=20, **{"headers": self._headers, **options})

    def post(self, **options: Any) -> requests.Response:
        return requests.post(self._url + "/jobs", timeout=20, **{"headers": self._headers, **options})

    def wait(self, job_id: str, *states: str) -> dict[str, Any]:
        deadline = time.monotonic() + WAIT_S
        while (job := self.get(f"/jobs/{job_id}").json())["state"] not in states:
            assert time.monotonic() < deadline, job
            time.sleep(0.05)
        return dict(job)


@contextmanager
def serving(environ: dict[str, str], home: Path) -> Iterator[Api]:
    """Run ``trainer serve`` on a free port."""
    port = free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DATAFLIX_")}
    settings = {**inherited, **environ, "DATAFLIX_HOME": str(home), "DATAFLIX_TRAINER_PORT": str(port)}
    with (home / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dataflix_trainer.cli", "serve"], env=settings, stdout=log, stderr=log
        )
    api = Api(process, port, environ["DATAFLIX_TRAINER_TOKEN"])
    try:
        deadline = time.monotonic() + WAIT_S
        while True:
            assert process.poll() is None, (home / "server.log").read_text()
            assert time.monotonic() < deadline, (home / "server.log").read_text()
            try:
                if api.get("/healthz").ok:
                    break
            except requests.ConnectionError:
                time.sleep(0.05)
        yield api
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trainer-home")


@pytest.fixture(scope="module")
def api(services: Any, home: Path) -> Iterator[Api]:
    with serving(services.environ, home) as api:
        yield api


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /healthz HTTP/1.1\r\n", b"POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{"],
    ids=["silence", "half head", "half body"],
)
def test_half_requests_do_not_stop_the_job_api(api: Api, sent: bytes) -> None:
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(api.connect()) for _ in range(40)]
        for client in held:
            client.sendall(sent)
        for _ in range(5):
            assert api.get("/healthz").elapsed.total_seconds() < 3
        got = b""
        while piece := held[-1].recv(65536):
            got += piece
    if sent:
        assert got.startswith(b"HTTP/1.1 408 Request Timeout\r\n")


@pytest.fixture(scope="module")
def trained(api: Api) -> dict[str, Any]:
    """A training that was started and came to its end."""
    body = {"kind": "train", "key": "run-1:train", "params": {"airflow_run_id": "run-1"}}
    answer = api.post(json=body)
    assert answer.status_code == 202, answer.text
    assert answer.json()["kind"] == "train"
    return api.wait(answer.json()["job_id"], "succeeded", "failed")


def test_a_training_job_registers_a_version(trained: dict[str, Any]) -> None:
    assert trained["state"] == "succeeded", trained
    assert trained["error"] is None
    assert set(trained["result"]) == {"mlflow_run_id", "model_version", "metrics"}
    assert trained["created_at"] <= trained["started_at"] <= trained["finished_at"]


def test_its_log_can_be_followed(api: Api, trained: dict[str, Any]) -> None:
    path = f"/jobs/{trained['job_id']}/log"
    whole = api.get(path).json()
    assert whole["complete"] is True
    assert "event=registered" in whole["text"]
    rest = api.get(path, params={"offset": 10}).json()
    assert rest["text"] == whole["text"][10:]
    at_end = api.get(path, params={"offset": whole["next_offset"]}).json()
    assert at_end == {"text": "", "next_offset": whole["next_offset"], "complete": True}


def test_the_same_key_is_the_same_job(api: Api, trained: dict[str, Any]) -> None:
    body = {"kind": "train", "key": "run-1:train", "params": {"airflow_run_id": "run-1"}}
    again = api.post(json=body)
    assert again.status_code == 200
    assert again.json() == {"job_id": trained["job_id"], "kind": "train", "state": "succeeded"}
    body["params"] = {"airflow_run_id": "run-2"}
    assert api.post(json=body).status_code == 409


def test_a_publish_job_promotes_and_writes_the_lists(
    api: Api, trained: dict[str, Any], services: Any
) -> None:
    version = trained["result"]["model_version"]
    body = {"kind": "publish", "key": "run-1:publish", "params": {"model_version": version}}
    job = api.wait(api.post(json=body).json()["job_id"], "succeeded", "failed")
    assert job["state"] == "succeeded", job
    assert set(job["result"]) == {
        *("promoted", "reason", "champion", "champion_problem", "recommendation_rows")
    }
    assert job["result"]["champion_problem"] is None
    assert job["result"]["recommendation_rows"] == 151 * 20
    published = services.sql("SELECT DISTINCT model_version FROM analytics.recommendations")
    assert published == [(job["result"]["champion"],)]


def test_a_failed_job_says_why_and_its_key_may_be_used_again(api: Api) -> None:
    body = {"kind": "publish", "key": "no such version", "params": {"model_version": "999"}}
    first = api.wait(api.post(json=body).json()["job_id"], "succeeded", "failed")
    assert first["state"] == "failed"
    assert "no version 999" in first["error"]
    assert first["result"] is None
    again = api.post(json=body)
    assert again.status_code == 202
    assert again.json()["job_id"] != first["job_id"]


def test_jobs_are_listed_the_newest_first(api: Api, trained: dict[str, Any]) -> None:
    listed = api.get("/jobs").json()
    assert listed["meta"]["count"] == len(listed["data"]) >= 1
    created = [job["created_at"] for job in listed["data"]]
    assert created == sorted(created, reverse=True)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", "Basic YTpi", "Bearer tok\xe9n"])
@pytest.mark.parametrize("path", ["/jobs", "/jobs/x", "/jobs/x/log", "/nowhere"])
def test_without_the_token_nothing_is_told(api: Api, header: str | None, path: str) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    answer = api.get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert api.post(json={}, headers=headers).status_code == 401


def test_health_needs_no_token(api: Api) -> None:
    assert api.get("/healthz", headers={}).json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"data": "not json", "headers": {"Content-Type": "application/json"}}, 400),
        ({"data": "kind=train"}, 415),
        ({"json": {"kind": "dance", "key": "a"}}, 400),
        ({"json": {"kind": "train", "key": "a", "params": {"airflow_run_id": "x" * 70_000}}}, 413),
    ],
)
def test_bad_requests_are_problems(api: Api, options: dict[str, Any], status: int) -> None:
    headers = api._headers | options.pop("headers", {})
    answer = api.post(**options, headers=headers)
    problem(answer, status)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/jobs/none", 404), ("/jobs/none/log", 404), ("/nowhere", 404), ("/jobs/..%2f", 404)],
)
def test_what_is_not_there_is_a_problem(api: Api, path: str, status: int) -> None:
    problem(api.get(path), status)


def test_an_offset_that_is_none_is_a_problem(api: Api, trained: dict[str, Any]) -> None:
    for offset in ("-1", "x", "1.5", "9" * 5000):
        problem(api.get(f"/jobs/{trained['job_id']}/log", params={"offset": offset}), 400)


def problem(answer: requests.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


def test_a_server_on_a_taken_port_says_so(api: Api, trainer: Callable[..., Any], services: Any) -> None:
    result = trainer("serve", DATAFLIX_TRAINER_PORT=str(services.clickhouse.port))
    assert result.exit_code == 2
    assert "DATAFLIX_TRAINER_PORT" in result.stderr


class TestRestart:
    """What becomes of jobs when the server, or their process, goes."""

    @pytest.fixture
    def slow(self, services: Any) -> dict[str, str]:
        """Settings under which a training lasts: its ClickHouse accepts and never answers."""
        import socket

        self.silent = socket.create_server(("127.0.0.1", 0))
        return {**services.environ, "DATAFLIX_CLICKHOUSE_PORT": str(self.silent.getsockname()[1])}

    def start(self, api: Api, key: str) -> tuple[str, psutil.Process]:
        job_id = api.post(json={"kind": "train", "key": key}).json()["job_id"]
        api.wait(job_id, "running")
        server = psutil.Process(api.process.pid)
        (child,) = [p for p in server.children(recursive=True) if "train" in p.cmdline()]
        return job_id, child

    def test_stopping_the_server_ends_its_job_and_keeps_the_queue(
        self, slow: dict[str, str], tmp_path: Path
    ) -> None:
        with serving(slow, tmp_path) as api:
            job_id, child = self.start(api, "a")
            queued = api.post(json={"kind": "publish", "key": "b", "params": {"model_version": "999"}}).json()
            assert api.get(f"/jobs/{queued['job_id']}").json()["state"] == "queued"
        assert not child.is_running()
        with serving(slow, tmp_path) as api:
            job = api.get(f"/jobs/{job_id}").json()
            assert job["state"] == "failed"
            assert "stopped" in job["error"]
            api.wait(queued["job_id"], "running", "failed")

    def test_a_job_whose_process_dies_is_failed(self, slow: dict[str, str], tmp_path: Path) -> None:
        with serving(slow, tmp_path) as api:
            job_id, child = self.start(api, "a")
            child.send_signal(signal.SIGKILL)
            job = api.wait(job_id, "failed")
            assert "ended with code -9" in job["error"]
            assert api.post(json={"kind": "train", "key": "a"}).status_code == 202

    def test_a_server_that_was_killed_finds_its_dead_job_failed(
        self, slow: dict[str, str], tmp_path: Path
    ) -> None:
        with serving(slow, tmp_path) as api:
            job_id, child = self.start(api, "a")
            for process in [*psutil.Process(api.process.pid).children(), psutil.Process(api.process.pid)]:
                process.send_signal(signal.SIGKILL)
            child.send_signal(signal.SIGKILL)
            api.process.wait()
        with serving(slow, tmp_path) as api:
            job = api.wait(job_id, "failed")
            assert "died while the job server was down" in job["error"]

    def test_a_process_that_outlives_its_server_is_waited_for(
        self, slow: dict[str, str], tmp_path: Path
    ) -> None:
        with serving(slow, tmp_path) as api:
            job_id, child = self.start(api, "a")
            for process in [psutil.Process(api.process.pid), *psutil.Process(api.process.pid).children()]:
                process.send_signal(signal.SIGKILL)
            api.process.wait()
        assert child.is_running()
        with serving(slow, tmp_path) as api:
            assert api.get(f"/jobs/{job_id}").json()["state"] == "running"
            self.silent.close()  # now its ClickHouse is away, and the training ends with an error
            job = api.wait(job_id, "failed", "succeeded")
            assert "ClickHouse" in job["error"]
