"""A model that the promotion rule refuses is no failure: the run says why, prints its page and is done."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from dataflix_stack import summary, up
from dataflix_stack.airflow.pipeline import PipelineResult
from dataflix_stack.config import dotenv_file
from dataflix_stack.config import settings as stack_settings
from dataflix_stack.config.settings import Settings
from dataflix_stack.config.state import State
from dataflix_stack.errors import StackError
from dataflix_stack.summary import print_summary
from dataflix_stack.up import first_pipeline_run

REASON = "only 3 users have enough events to evaluate on; 30 are needed to tell a better model from luck"


class Answers:
    """What API and trainer answer, by path; a path that is missing is answered with 404."""

    def __init__(self) -> None:
        self.by_path: dict[str, Any] = {
            "/users": {"data": [{"user_id": 1}]},
            "/recommendations/1": {
                "data": [{"rank": 1, "title": "Movie 5", "score": 0.0, "reason": {"text": "popular"}}]
            },
        }

    def published(self, *, promoted: bool, champion: str | None) -> None:
        result = {"promoted": promoted, "reason": REASON, "champion": champion, "recommendation_rows": 0}
        self.by_path["/jobs"] = {
            "data": [
                {"kind": "prune", "state": "succeeded", "result": {}},
                {"kind": "publish", "state": "succeeded", "result": result},
            ]
        }


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: Answers) -> Iterator[Settings]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answers.by_path.get(self.path.partition("?")[0])
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in ("BACKEND", "TRAINER")]
    for server in servers:
        Thread(target=server.serve_forever, daemon=True).start()
    backend, trainer = (str(server.server_address[1]) for server in servers)
    ports = {"DATAFLIX_BACKEND_PORT": backend, "DATAFLIX_TRAINER_PORT": trainer}
    dotenv_file.write_first(tmp_path / "env", ports)
    monkeypatch.setenv("DATAFLIX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATAFLIX_ENV_FILE", str(tmp_path / "env"))
    monkeypatch.setattr(up, "run_pipeline", lambda *_, **__: PipelineResult("the-run", 1.0, {}))
    monkeypatch.setattr(up, "_MODEL_TIMEOUT_S", 0.6)
    monkeypatch.setattr(summary, "is_healthy", lambda *_: True)
    settings = stack_settings.load(create=True)
    stack_settings.prepare_home(settings.home)
    yield settings
    for server in servers:
        server.shutdown()
        server.server_close()


def page(settings: Settings, capsys: pytest.CaptureFixture[str]) -> str:
    print_summary(settings)
    return capsys.readouterr().out


def test_a_refusal_is_told_at_once_and_the_run_is_done(
    stack: Settings, answers: Answers, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers.published(promoted=False, champion=None)
    monkeypatch.setattr(up, "_wait_for_model", lambda _: pytest.fail("it waits for a model"))

    first_pipeline_run(stack, lambda: None)

    assert REASON in capsys.readouterr().err
    assert State.read(stack).first_run == "the-run"
    monkeypatch.setattr(up, "run_pipeline", lambda *_, **__: pytest.fail("it starts all over"))
    first_pipeline_run(stack, lambda: None)


def test_the_page_says_why_no_model_serves(
    stack: Settings, answers: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    answers.published(promoted=False, champion=None)
    text = page(stack, capsys)
    assert "No model serves: popular movies are recommended." in text
    assert f"The promotion rule refused the trained model: {REASON}." in text
    assert "1. Movie 5" in text


def test_a_refused_model_with_an_older_champion_is_waited_for(
    stack: Settings, answers: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    answers.published(promoted=False, champion="4")
    answers.by_path["/model"] = {"version": "4"}
    first_pipeline_run(stack, lambda: None)
    assert "the API has the new model" in capsys.readouterr().err
    assert "Model: version 4" in page(stack, capsys)


def test_a_champion_that_the_api_does_not_get_is_a_failure_but_no_reason_to_train_again(
    stack: Settings, answers: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    answers.published(promoted=True, champion="4")
    with pytest.raises(StackError, match=r"Version 4 should serve, .*log of model-sync"):
        first_pipeline_run(stack, lambda: None)
    assert State.read(stack).first_run == "the-run"
    assert "Version 4 should serve" in page(stack, capsys)


def test_the_page_is_printed_without_users_and_without_movies_left(
    stack: Settings, answers: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    answers.by_path["/model"] = {"version": "1"}
    answers.by_path["/recommendations/1"] = {"data": []}
    assert "there is no movie that this user has not watched" in page(stack, capsys)
    answers.by_path["/users"] = {"data": []}
    assert "no users yet" in page(stack, capsys)
