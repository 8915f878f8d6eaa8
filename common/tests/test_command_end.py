"""Whatever goes wrong, a command ends with an exit code and one sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dataflix_common.command_end import CLOSED_OUTPUT

PROGRAM = """
import sys
from dataflix_common.command_end import run_to_end, say
def main():
    {body}
sys.exit(run_to_end(main, "command.py"))
"""


def run(body: str, redirection: str = "", **environ: str) -> tuple[int, str, bytes]:
    """Run a command in a shell; return its exit code, stderr and stdout."""
    done = subprocess.run(
        [
            "bash",
            "-c",
            f'set -o pipefail; "$0" -c "$1" {redirection}',
            sys.executable,
            PROGRAM.format(body=body),
        ],
        env=os.environ | environ,
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stderr.decode(), done.stdout


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("return 3", 3, ""),
        ("return None", 0, ""),
        ("return 'not like this'", 1, "not like this\n"),
        ("sys.exit('not like this')", 1, "not like this\n"),
        ("sys.exit()", 0, ""),
        ("raise KeyboardInterrupt", 130, "command.py: interrupted.\n"),
        ("b'\\xff'.decode()", 1, "command.py can't go on: UnicodeDecodeError: "),
        (
            "open('/no/such/file')",
            1,
            "command.py can't go on: /no/such/file: No such file or directory.\n",
        ),
        ("raise ValueError('first\\nsecond')", 1, "command.py can't go on: ValueError: first second ("),
        ("say('x'); raise BrokenPipeError", 1, "x\n"),
    ],
)
def test_any_exception_ends_in_one_sentence_and_an_exit_code(body: str, code: int, message: str) -> None:
    ended, stderr, _ = run(body)
    assert ended == code
    assert stderr.startswith(message)
    assert len(stderr.splitlines()) == (1 if message else 0)


def test_no_error_of_postgres_shows_a_password() -> None:
    body = "import psycopg2; psycopg2.connect('postgresql://name:hunter2@[::1:5432/x')"
    code, stderr, _ = run(body)
    assert (code, "hunter2" in stderr) == (1, False)
    assert stderr.startswith("command.py can't go on: an error of Postgres (ProgrammingError, ")


@pytest.mark.parametrize("body", ["print('x')", "print('x' * 100_000)"])
def test_output_that_cannot_be_written(body: str) -> None:
    code, stderr, _ = run(body, ">/dev/full")
    assert code == 1
    assert stderr.count("\n") == 1
    assert "No space left on device." in stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_help_that_cannot_be_written(unbuffered: str) -> None:
    # argparse ignores errors of its own output.
    body = "import argparse; argparse.ArgumentParser().parse_args(['--help'])"
    ended = run(body, ">/dev/full", PYTHONUNBUFFERED=unbuffered)
    assert ended[:2] == (1, "command.py: the output can't be written: No space left on device.\n")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        # The work is done, and the reader has what it wanted.
        ("print('x')", 0),
        # In the middle of the work.
        ("print('x' * 100_000); return 0", 1),
    ],
)
def test_a_closed_pipe_ends_quietly(body: str, code: int) -> None:
    # The command waits until the reader is gone.
    assert run("sys.stdin.read(); " + body, "< <(sleep 0.3) | true")[:2] == (code, "")


def test_a_help_whose_reader_has_left_is_no_failure() -> None:
    body = "sys.argv = ['command.py', '--help']; sys.stdin.read(); print('x' * 100_000)"
    assert run(body, "< <(sleep 0.3) | true")[:2] == (0, "")


@pytest.mark.parametrize("redirection", [">&-", ">&- 2>&-", ">&- <&-"])
def test_nothing_is_done_when_the_output_is_closed(tmp_path: Path, redirection: str) -> None:
    file = tmp_path / "file"
    code, stderr, _ = run(f"open('{file}', 'w')", redirection)
    assert code == 1
    assert stderr == ("" if "2>" in redirection else f"command.py: {CLOSED_OUTPUT}\n")
    assert not file.exists()


@pytest.mark.parametrize("redirection", ["2>&-", "<&-", "2>&- <&-", "2>/dev/full"])
def test_closed_streams_change_no_exit_code(tmp_path: Path, redirection: str) -> None:
    file = tmp_path / "file"
    body = f"file = open('{file}', 'w'); print('out'); sys.stdout.write('out'); say('err'); "
    body += "file.write('in'); file.close(); return 3"
    code, stderr, _ = run(body, redirection)
    assert code == 3
    assert stderr in ("", "err\n")
    # What is printed does not land in a file that was opened later.
    assert file.read_text() == "in"


def test_what_a_terminal_cannot_show_is_shown_by_its_code() -> None:
    code, stderr, stdout = run("print('\\u00e9\\udcff'); say('\\u00e9\\udcff')", PYTHONIOENCODING="ascii")
    assert (code, stderr, stdout) == (0, "\\xe9\\udcff\n", b"\\xe9\\udcff\n")
