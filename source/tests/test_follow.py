"""The copy while the stack runs: it rests, it goes on after a failure, and it says each thing once."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_source.copying.follow import follow
from dataflix_source.errors import BusyError, SourceError, SourceUnavailableError
from dataflix_testkit import PostgresServer

from .conftest import LIBRARY_FILE, Application, fetch, what_came


class _EndedError(Exception):
    """The end of a test."""


def followed(*outcomes: str | SourceError | Callable[[], str]) -> tuple[list[str], list[float]]:
    """Let copies end as the outcomes say; return what was printed, without times, and the rests."""
    left, printed, rests = list(outcomes), list[str](), list[float]()

    def copy_once() -> str:
        if not left:
            raise _EndedError
        outcome = left.pop(0)
        if isinstance(outcome, SourceError):
            raise outcome
        return outcome if isinstance(outcome, str) else outcome()

    with pytest.raises(_EndedError):
        follow(copy_once, 60, out=printed.append, rest=rests.append)
    return [line.split(" ", 2)[2] for line in printed], rests


def test_only_changes_are_told() -> None:
    assert followed("", "2 new", "")[0] == ["2 new"]


def test_a_failure_is_told_once_and_so_is_its_end() -> None:
    gone = SourceUnavailableError("gone")
    assert followed(gone, gone, "", "")[0] == ["gone", "The copy works again."]
    assert followed(gone, SourceError("refused"), "3 new")[0] == ["gone", "refused", "3 new"]


def test_another_copy_is_neither_a_failure_nor_its_end() -> None:
    assert followed(BusyError("busy"), "")[0] == []
    gone = SourceUnavailableError("gone")
    assert followed(gone, BusyError("busy"), gone)[0] == ["gone"]


def test_a_copy_that_reads_long_rests_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def slow() -> str:
        now[0] += 30
        return ""

    assert followed("", slow)[1] == [60, 600]


@pytest.fixture
def start(
    readable: Application, own: Connection, server: PostgresServer, tmp_path: Path
) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts the program, which then copies every tenth of a second."""
    (tmp_path / "dataflix.yml").write_text(LIBRARY_FILE, encoding="utf-8")
    environ = {
        **server.environ,
        "DATAFLIX_ENV_FILE": str(tmp_path / "none"),
        "DATAFLIX_SOURCE_HOST": readable.reader.host,
        "DATAFLIX_SOURCE_PORT": str(readable.reader.port),
        "DATAFLIX_SOURCE_DB": readable.name,
        "DATAFLIX_SOURCE_USER": readable.reader.user,
        "DATAFLIX_SOURCE_PASSWORD": readable.reader.password,
    }
    program = [sys.executable, "-m", "dataflix_source", "follow", str(tmp_path / "dataflix.yml")]
    started: list[subprocess.Popen[str]] = []

    def begin() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*program, "--every", "0.1"],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], bool]) -> None:
    # Far more than a copy takes, on a machine that does much else.
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_changes_comes_while_it_runs_and_a_problem_is_recorded(
    start: Callable[[], subprocess.Popen[str]], readable: Application, own: Connection
) -> None:
    def problem() -> str | None:
        rows = fetch(own, "SELECT problem FROM source.last_attempt")
        return str(rows[0][0]) if rows and rows[0][0] else None

    start()
    wait_for(lambda: len(what_came(own)) > 0)
    readable.execute("UPDATE book SET title = 'Persuasion' WHERE title = 'Emma'")
    wait_for(lambda: fetch(own, "SELECT FROM movies WHERE title = 'Persuasion'") != [])
    readable.execute("ALTER TABLE book RENAME title TO name")
    wait_for(lambda: problem() is not None)
    assert "public.book has no column title" in str(problem())
    readable.execute("ALTER TABLE book RENAME name TO title")
    wait_for(lambda: problem() is None)


def test_a_copy_that_is_killed_leaves_nothing(
    start: Callable[[], subprocess.Popen[str]], own: Connection, server: PostgresServer
) -> None:
    waiting = "SELECT FROM pg_stat_activity WHERE usename = 'dataflix_copier' AND wait_event_type = 'Lock'"
    with closing(psycopg2.connect(server.dsn("postgres"))) as other, other.cursor() as cursor:
        # When the copy comes to the items, which it can't write, it has written the people.
        cursor.execute("LOCK TABLE movies IN SHARE MODE")
        process = start()
        wait_for(lambda: fetch(own, waiting) != [])
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_for(lambda: fetch(own, "SELECT FROM pg_stat_activity WHERE usename = 'dataflix_copier'") == [])
    assert what_came(own) == []
    assert fetch(own, "SELECT FROM source.copies") == []
    start()
    wait_for(lambda: len(what_came(own)) > 0)
