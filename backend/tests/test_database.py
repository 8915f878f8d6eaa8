"""Postgres away, slow, restarted, and several writers at once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dataflix_backend import database as database_module
from dataflix_backend.database import Database, Prepared
from dataflix_backend.exceptions import UnavailableError
from dataflix_testkit import PostgresServer, free_port, postgres

from .conftest import StartApp, settings_for
from .support import data
from .support.api import ApiClient
from .support.contract import Contract


@pytest.fixture
def movie(catalogue: data.Catalogue) -> int:
    return next(iter(catalogue.titles))


def test_lost_connections_are_replaced_before_use(pg: PostgresServer, api: ApiClient, movie: int) -> None:
    user = api.new_user()
    connection = data.connect(pg.dsn("postgres"))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
            " WHERE usename = 'dataflix_backend'"
        )
        assert cursor.fetchone()[0] > 0
    connection.close()
    assert api.post("/ratings", {"user_id": user, "movie_id": movie, "rating": 4}).status == 201


def test_statements_are_prepared_again_on_another_connection(pg: PostgresServer, tmp_path: Path) -> None:
    database = Database(settings_for(tmp_path, pg), 1)
    statement = Prepared("twice", "int, text", "SELECT 2 * $1 AS number, $2 AS text, pg_backend_pid() AS pid")

    def ask(number: int, text: str) -> tuple[int, str, int]:
        (row,) = database.query_prepared(statement, number, text)
        return row["number"], row["text"], row["pid"]

    first, again = ask(1, "it's %s"), ask(2, "$1")
    assert (first[:2], again[:2]) == ((2, "it's %s"), (4, "$1"))
    assert first[2] == again[2]
    connection = data.connect(pg.dsn("postgres"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", (first[2],))
    connection.close()
    assert ask(3, "")[0] == 6
    database.close()


def test_without_postgres_the_app_starts_and_names_the_missing_part(
    pg: PostgresServer, tmp_path: Path, contract: Contract, start_app: StartApp
) -> None:
    app = start_app(settings_for(tmp_path, pg, DATAFLIX_POSTGRES_PORT=str(free_port())))
    api = ApiClient(app.test_client(), contract)
    assert api.get("/healthz", key=None).json == {"status": "ok"}
    unready = api.get("/readyz", key=None)
    assert unready.problem(503)["checks"] == {"postgres": "unreachable", "model": "none"}
    writes = api.post("/ratings", {"user_id": 1, "movie_id": 1, "rating": 3})
    for answer in (unready, api.get("/recommendations/1"), api.get("/movies"), writes):
        problem = answer.problem(503)
        assert int(answer.headers["Retry-After"]) > 0
        assert "SELECT" not in problem["detail"]
        assert "127.0.0.1" not in problem["detail"]


def test_postgres_lost_under_way_answers_503(tmp_path: Path, contract: Contract, start_app: StartApp) -> None:
    with postgres() as server:
        app = start_app(settings_for(tmp_path, server))
        api = ApiClient(app.test_client(), contract)
        user = api.new_user()
        assert api.get("/readyz", key=None).status == 200
    for _ in range(2):
        assert "Retry-After" in api.get(f"/users/{user}").headers
        api.get(f"/users/{user}").problem(503)
        api.post("/users", {"username": "late", "email": "late@example.org"}).problem(503)
    api.get("/readyz", key=None).problem(503)


def test_slow_statement_ends_with_503(
    pg: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "STATEMENT_TIMEOUT_MS", 100)
    database = Database(settings_for(tmp_path, pg), 1)
    with pytest.raises(UnavailableError):
        database.query("SELECT pg_sleep(60)")
    assert database.query("SELECT 1 AS one") == [{"one": 1}]
    database.close()


def test_requests_beyond_the_pool_wait_then_answer_503(
    pg: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "POOL_TIMEOUT_S", 0.05)
    database = Database(settings_for(tmp_path, pg), 1)
    admin = data.connect(pg.dsn("postgres"))
    with admin.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(1)")
        with ThreadPoolExecutor(1) as pool:
            busy = pool.submit(database.query, "SELECT pg_advisory_lock(1)")
            while not busy.running() or database._free.acquire(blocking=False):
                time.sleep(0.01)
            with pytest.raises(UnavailableError, match="busy"):
                database.query("SELECT 1")
            cursor.execute("SELECT pg_advisory_unlock(1)")
            busy.result()
    assert database.query("SELECT 1 AS one") == [{"one": 1}]
    database.close()
    admin.close()


def test_writers_at_once_leave_one_row(api: ApiClient, movie: int) -> None:
    user = api.new_user()
    barrier = threading.Barrier(8)

    def write(number: int) -> int:
        barrier.wait()
        body = {"user_id": user, "movie_id": movie, "rating": 0.5 + number / 2}
        return api.post("/ratings", body).status

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(write, range(8)))
    assert statuses == [200] * 7 + [201]
    assert api.get(f"/ratings/{user}").json["meta"]["total"] == 1


@pytest.mark.parametrize("deleted", ["user", "movie"])
def test_a_user_or_movie_deleted_during_a_rating_is_not_found(
    pg: PostgresServer, api: ApiClient, deleted: str
) -> None:
    user = api.new_user()
    connection = data.connect(pg.dsn("postgres"))
    connection.autocommit = False
    with connection.cursor() as cursor, ThreadPoolExecutor(1) as pool:
        cursor.execute("INSERT INTO movies (title) VALUES ('Short Lived') RETURNING movie_id")
        movie = cursor.fetchone()[0]
        connection.commit()
        identifier = user if deleted == "user" else movie
        cursor.execute(f"DELETE FROM {deleted}s WHERE {deleted}_id = %s", (identifier,))
        writing = pool.submit(api.post, "/ratings", {"user_id": user, "movie_id": movie, "rating": 4})
        waiting = 0
        while not waiting:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            waiting = cursor.fetchone()[0]
        connection.commit()
        problem = writing.result().problem(404)
    connection.close()
    assert problem["detail"] == f"There is no {deleted} with the id {identifier}."
