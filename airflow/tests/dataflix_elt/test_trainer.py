"""Jobs of the trainer are started once, followed to their end, and resumed."""

import threading
import time
from collections.abc import Iterator

import pytest

from dataflix_elt.clients import trainer as trainer_module
from dataflix_elt.clients.trainer import Trainer, run_job
from dataflix_elt.errors import JobFailedError, TrainerRefusedError, TrainerUnavailableError
from dataflix_testkit import free_port

from ..support.trainer import FakeTrainer, fake_trainer


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer_module, "_POLL_S", 0.01)


@pytest.fixture
def fake() -> Iterator[FakeTrainer]:
    with fake_trainer() as trainer:
        yield trainer


def test_a_job_is_followed_to_its_result_with_its_log(fake: FakeTrainer) -> None:
    fake.script = [
        ("queued", ""),
        ("running", "epoch 1\nep"),
        ("running", "epoch 1\nepoch 2\n"),
        ("succeeded", "epoch 1\nepoch 2\nfine"),
    ]
    fake.result = {"model_version": "7"}
    lines: list[str] = []

    with Trainer(fake.settings) as client:
        result = run_job(client, "train", "run:train", {"airflow_run_id": "run"}, progress=lines.append)

    assert result == {"model_version": "7"}
    assert lines == ["epoch 1", "epoch 2", "fine"]
    assert fake.posted == [{"kind": "train", "key": "run:train", "params": {"airflow_run_id": "run"}}]


def test_a_second_call_follows_the_same_job(fake: FakeTrainer) -> None:
    with Trainer(fake.settings) as client:
        run_job(client, "train", "run:train", {})
        run_job(client, "train", "run:train", {})

    assert list(fake.jobs) == ["1"]


def test_a_failed_job_raises_and_the_next_call_starts_another(fake: FakeTrainer) -> None:
    fake.script = [("running", ""), ("failed", "")]
    with Trainer(fake.settings) as client:
        with pytest.raises(JobFailedError, match="train job 1 failed: no room on the disk"):
            run_job(client, "train", "run:train", {})
        fake.script = [("succeeded", "")]
        run_job(client, "train", "run:train", {})
        run_job(client, "train", "run:train", {})

    assert [job["key"] for job in fake.jobs.values()] == ["run:train", "run:train:2"]


def test_a_busy_trainer_is_asked_again(fake: FakeTrainer) -> None:
    fake.fail_next = 3

    with Trainer(fake.settings) as client:
        assert run_job(client, "publish", "run:publish", {}) == {}


def test_a_trainer_that_comes_back_is_found_again() -> None:
    port = free_port()
    found: list[FakeTrainer] = []

    def come_back() -> None:
        time.sleep(0.2)
        with fake_trainer(port) as trainer:
            found.append(trainer)
            done.wait(30)

    done = threading.Event()
    thread = threading.Thread(target=come_back)
    thread.start()
    try:
        with Trainer(FakeTrainer(port).settings, patience_s=30) as client:
            run_job(client, "train", "run:train", {})
    finally:
        done.set()
        thread.join()
    assert len(found[0].jobs) == 1


def test_a_trainer_that_stays_down_is_named() -> None:
    nobody = FakeTrainer(free_port()).settings

    with (
        Trainer(nobody, patience_s=0.05) as client,
        pytest.raises(TrainerUnavailableError, match=str(nobody.port)),
    ):
        run_job(client, "train", "run:train", {})


def test_a_wrong_token_is_refused_at_once(fake: FakeTrainer) -> None:
    stranger = fake.settings.model_copy(update={"token": "wrong"})

    with Trainer(stranger) as client, pytest.raises(TrainerRefusedError, match="401 Unauthorized The token"):
        run_job(client, "train", "run:train", {})
