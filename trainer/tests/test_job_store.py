"""Jobs on disk and their logs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataflix_trainer.errors import TrainerError
from dataflix_trainer.jobs import store as stores
from dataflix_trainer.jobs.job import Job
from dataflix_trainer.jobs.requests import BadRequestError, parse_job
from dataflix_trainer.jobs.store import JobStore, KeyConflictError


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    return JobStore(tmp_path / "jobs")


def test_one_key_is_one_job_until_it_fails(store: JobStore) -> None:
    job, is_new = store.submit("train", "a", {})
    assert is_new
    assert store.submit("train", "a", {}) == (job, False)
    store.update(job, state="succeeded")
    assert store.submit("train", "a", {})[0].job_id == job.job_id
    store.update(job, state="failed")
    again, is_new = store.submit("train", "a", {})
    assert is_new
    assert again.job_id != job.job_id
    assert store.submit("train", "a", {}) == (again, False)


def test_a_key_stands_for_one_request(store: JobStore) -> None:
    store.submit("publish", "a", {"model_version": "1"})
    for kind, params in (("train", {}), ("publish", {"model_version": "2"})):
        with pytest.raises(KeyConflictError, match="'a'"):
            store.submit(kind, "a", params)  # type: ignore[arg-type]


def test_jobs_survive_a_restart(store: JobStore, tmp_path: Path) -> None:
    first, _ = store.submit("train", "a", {"airflow_run_id": "r"})
    second, _ = store.submit("publish", "b", {"model_version": "1"})
    store.update(first, state="succeeded", result={"model_version": "1"})
    reopened = JobStore(tmp_path / "jobs")
    assert reopened.all() == store.all()
    assert reopened.submit("publish", "b", {"model_version": "1"}) == (second, False)


def test_a_broken_state_file_is_named(store: JobStore, tmp_path: Path) -> None:
    job, _ = store.submit("train", "a", {})
    file = store.folder_of(job) / "job.json"
    file.write_text("{")
    with pytest.raises(TrainerError, match=str(file)):
        JobStore(tmp_path / "jobs")


def test_old_jobs_are_forgotten_and_unfinished_ones_kept(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "KEPT_JOBS", 3)
    unfinished, _ = store.submit("train", "queued", {})
    for number in range(6):
        job, _ = store.submit("train", f"done {number}", {})
        store.update(job, state="succeeded")
    store.submit("train", "last", {})
    assert [job.key for job in store.all()] == ["queued", "done 5", "last"]
    assert len(list(store.folder_of(unfinished).parent.iterdir())) == 3


def finished(store: JobStore, log: bytes) -> Job:
    job, _ = store.submit("train", "a", {})
    (store.folder_of(job) / "log.txt").write_bytes(log)
    return replace(job, state="succeeded")


@given(text=st.text(max_size=60), cut=st.integers(0, 60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_log_read_in_pieces_is_the_whole_log(store: JobStore, text: str, cut: int) -> None:
    content = text.encode()
    # First only a part has been written, perhaps ending inside a character.
    running = replace(finished(store, content[:cut]), state="running")
    start, offset, complete = store.read_log(running, 0)
    assert not complete
    rest, end, complete = store.read_log(finished(store, content), offset)
    assert start + rest == text
    assert end == len(content)
    assert complete


def test_a_long_log_comes_in_chunks(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "LOG_CHUNK", 5)
    job = finished(store, "äöüß€ end".encode())
    pieces, offset, complete = [], 0, False
    while not complete:
        text, offset, complete = store.read_log(job, offset)
        pieces.append(text)
    assert "".join(pieces) == "äöüß€ end"
    assert len(pieces) > 2


def test_a_log_that_was_not_begun_is_empty(store: JobStore) -> None:
    job, _ = store.submit("train", "a", {})
    assert store.read_log(job, 0) == ("", 0, False)


def test_parameters_become_arguments_one_each(store: JobStore) -> None:
    job, _ = store.submit("train", "a", {"airflow_run_id": "--force; rm -rf /"})
    assert "--airflow-run-id=--force; rm -rf /" in job.command_line()
    assert Job.from_dict(json.loads(json.dumps(job.to_dict()))) == job


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "JSON object"),
        ({"kind": "dance", "key": "a"}, "'dance'"),
        ({"kind": ["train"], "key": "a"}, "kind must be one of"),
        ({"kind": "train"}, "key is required"),
        ({"kind": "train", "key": ""}, "key: .* at least 1 character"),
        ({"kind": "train", "key": "a\n"}, "key: only printable characters"),
        ({"kind": "train", "key": "x" * 201}, "key: .* at most 200 characters"),
        ({"kind": "train", "key": "a", "params": []}, "params: .* dictionary"),
        ({"kind": "train", "key": "a", "params": {"threads": "4"}}, "params.threads is not known for train"),
        ({"kind": "train", "key": "a", "extra": 1}, "extra is not known for train"),
        ({"kind": "train", "key": "a", "params": {"airflow_run_id": 3}}, "params.airflow_run_id: .* string"),
        (
            {"kind": "train", "key": "a", "params": {"airflow_run_id": "x" * 1001}},
            "params.airflow_run_id: .* 1000",
        ),
        ({"kind": "publish", "key": "a"}, "params.model_version is required"),
        (
            {"kind": "publish", "key": "a", "params": {"model_version": "1\n"}},
            "params.model_version: only printable",
        ),
        ({"kind": "publish", "key": "a", "params": {"model_version": "latest"}}, "'latest'"),
        ({"kind": "publish", "key": "a", "params": {"model_version": "--force"}}, "'--force'"),
    ],
)
def test_bad_requests_name_the_field(body: object, words: str) -> None:
    with pytest.raises(BadRequestError, match=words):
        parse_job(body)
