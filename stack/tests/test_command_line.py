"""Whatever is wrong outside, run.sh and stop.sh end with a plain sentence and an exit code."""

import subprocess
import sys
from pathlib import Path

import pytest

from dataflix_stack import progress
from dataflix_stack.airflow.api import AirflowApi
from dataflix_stack.config import settings as stack_settings
from dataflix_stack.config.settings import Settings
from dataflix_stack.errors import StackError
from dataflix_testkit import free_port


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DATAFLIX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATAFLIX_ENV_FILE", str(tmp_path / "env"))
    settings = stack_settings.load(create=True)
    stack_settings.prepare_home(settings.home)
    return settings


def run(command: str, redirection: str = "") -> tuple[int, str]:
    """Run `python -m dataflix_stack` in a shell; return the exit code and what it printed in all."""
    done = subprocess.run(
        ["bash", "-c", f'set -o pipefail; "{sys.executable}" -m dataflix_stack {command} {redirection}'],
        capture_output=True,
        text=True,
        # head cuts a letter in two.
        errors="replace",
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("command", ["--help", "status --help", "pipeline --help", "stop --help"])
def test_help_that_cannot_be_written_ends_with_a_sentence(command: str) -> None:
    code, printed = run(command, ">/dev/full")
    assert (code, printed) == (1, "run.sh: the output can't be written: No space left on device.\n")


@pytest.mark.parametrize("command", ["status", "status --json"])
@pytest.mark.parametrize("redirection", [">/dev/full", "| true", "| head -c 1"])
def test_output_that_cannot_be_written_ends_with_a_sentence(
    stack: Settings, command: str, redirection: str
) -> None:
    code, printed = run(command, redirection)
    assert code == 1
    assert "Traceback" not in printed
    assert "Exception" not in printed


@pytest.mark.parametrize("redirection", [">&-", ">&- 2>&-", "<&-", "2>&-"])
@pytest.mark.parametrize("command", ["status --json", "stop", "stop --purge"])
def test_closed_streams_are_no_reason_for_a_traceback(
    stack: Settings, command: str, redirection: str
) -> None:
    code, printed = run(command, redirection)
    assert code in (0, 1)
    assert "Traceback" not in printed
    assert stack.home.exists()


def test_a_stop_is_finished_although_nobody_reads_its_progress(stack: Settings) -> None:
    (stack.home / "state.json").write_text('{"way": "local"}')
    assert run("stop --purge --yes", "2>/dev/full") == (1, "")
    assert not stack.home.exists()


def test_a_table_is_printed_whatever_the_encoding(stack: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    code, printed = run("status")
    assert (code, "Traceback" in printed, "postgres" in printed) == (1, False, True)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b'"local"'])
def test_a_damaged_state_file_is_reported_with_the_way_out(stack: Settings, content: bytes) -> None:
    (stack.home / "state.json").write_bytes(content)
    code, printed = run("status")
    assert code == 1
    assert "state.json is damaged. Write into it" in printed


def test_an_env_file_that_is_not_utf8_is_reported(stack: Settings) -> None:
    stack.env_file.write_bytes(b"\xe9\n")
    for command in ("", "status", "stop", "pipeline"):
        code, printed = run(command)
        assert (code, printed) == (
            1,
            f"dataflix: {stack.env_file}, line 1: not UTF-8. Save the file as UTF-8.\n",
        )


def test_data_whose_path_the_system_refuses_is_reported(stack: Settings, tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for path in ("x" * 300, tmp_path / "circle"):
        code, printed = run(f"--data {path}")
        assert code == 1
        assert printed.startswith("dataflix: ")
        assert "Traceback" not in printed


@pytest.mark.parametrize("option", ["--data", "--source"])
def test_an_empty_path_is_not_the_sample(stack: Settings, option: str) -> None:
    code, printed = run(f"{option} ''")
    assert code == 2
    assert f"argument {option}: it is empty" in printed


def test_lost_progress_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_lost", type(progress._lost)())
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        progress.say("x" * 10)
        assert progress.is_output_lost()
        progress.say("this one goes nowhere, without an error")


def test_a_refused_log_in_to_airflow_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    class Echo:
        ok, status_code, text = False, 422, '{"input": {"password": "hunter2hunter2"}}'

    monkeypatch.setattr("requests.Session.request", lambda *_, **__: Echo())
    env = {"DATAFLIX_AIRFLOW_HOST": "127.0.0.1", "DATAFLIX_AIRFLOW_PORT": str(free_port())}
    with pytest.raises(StackError, match="/auth/token: 422") as caught:
        AirflowApi(env | {"DATAFLIX_AIRFLOW_ADMIN_PASSWORD": "hunter2hunter2"})
    assert "hunter2" not in str(caught.value)
