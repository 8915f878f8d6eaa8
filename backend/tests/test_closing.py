"""An application that is closed leaves no thread and no connection. Workers close theirs at their end."""

import importlib
import itertools
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from dataflix_backend.app import close_app, create_app
from dataflix_backend.exceptions import UnavailableError
from dataflix_backend.services.repeated import Repeated
from dataflix_testkit import PostgresServer, free_port

from .conftest import settings_for
from .support import data
from .support.api import API_KEY, ApiClient
from .support.contract import Contract

WAIT_S = 60


def connections(pg: PostgresServer) -> set[int]:
    connection = data.connect(pg.dsn("postgres"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'dataflix-backend'")
        found = {pid for (pid,) in cursor.fetchall()}
    connection.close()
    return found


def test_a_closed_application_leaves_no_thread_and_no_connection(
    pg: PostgresServer, tmp_path: Path, contract: Contract
) -> None:
    threads, before = set(threading.enumerate()), connections(pg)
    app = create_app(settings_for(tmp_path, pg))
    assert ApiClient(app.test_client(), contract).get("/genres").status == 200
    assert set(threading.enumerate()) - threads
    opened = connections(pg) - before
    assert opened
    for _ in range(2):
        close_app(app)
        assert set(threading.enumerate()) <= threads
    # Postgres notices a moment later that a client has left.
    deadline = time.monotonic() + WAIT_S
    while connections(pg) & opened:
        assert time.monotonic() < deadline


def test_an_application_closes_while_postgres_is_away(pg: PostgresServer, tmp_path: Path) -> None:
    threads = set(threading.enumerate())
    close_app(create_app(settings_for(tmp_path, pg, DATAFLIX_POSTGRES_PORT=str(free_port()))))
    assert set(threading.enumerate()) <= threads


def test_a_worker_closes_its_application_at_its_end(
    pg: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**pg.environ, "DATAFLIX_HOME": str(tmp_path), "DATAFLIX_API_KEY": API_KEY}.items():
        monkeypatch.setenv(name, value)
    configuration = importlib.import_module("dataflix_backend.server.gunicorn_conf")
    threads = set(threading.enumerate())
    configuration.worker_exit(None, SimpleNamespace(wsgi=create_app(settings_for(tmp_path, pg))))
    assert set(threading.enumerate()) <= threads
    # One that could not load the application.
    configuration.worker_exit(None, SimpleNamespace())


@pytest.mark.parametrize("error", [UnavailableError("away"), RuntimeError("a mistake")])
def test_whatever_a_call_raises_it_is_called_again(error: Exception) -> None:
    calls = itertools.count()
    enough = threading.Event()

    def call() -> None:
        if next(calls) == 2:
            enough.set()
        raise error

    repeated = Repeated(call, 0.001, "repeated")
    repeated.start()
    assert enough.wait(WAIT_S)
    repeated.stop()
    assert repeated.join(WAIT_S)


def test_a_call_that_hangs_does_not_hold_up_the_end() -> None:
    began, may_end = threading.Event(), threading.Event()

    def call() -> None:
        began.set()
        may_end.wait(WAIT_S)

    repeated = Repeated(call, 0.001, "repeated")
    repeated.start()
    assert began.wait(WAIT_S)
    repeated.stop()
    assert not repeated.join(0.01)
    may_end.set()
    assert repeated.join(WAIT_S)
