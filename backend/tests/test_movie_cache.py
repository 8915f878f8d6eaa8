"""A worker's cache of movies is valid only as long as Postgres reports no change."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from flask import Flask

from dataflix_backend.database import Database
from dataflix_backend.queries.ranking_context import MoviesState, load_ranking_context
from dataflix_backend.services.ranking import movie_cache as module
from dataflix_backend.services.ranking.movie_cache import MovieCache
from dataflix_backend.settings import PostgresSettings
from dataflix_testkit import PostgresServer, postgres

from .support import data
from .support.api import ApiClient
from .support.data import Catalogue

MOVIE = 900_001


@pytest.fixture(scope="module")
def own() -> Iterator[PostgresServer]:
    """A server whose movies may all be deleted."""
    with postgres() as server:
        yield server


@pytest.fixture
def database(own: PostgresServer) -> Iterator[Database]:
    connection = Database(PostgresSettings.from_environ(own.environ), size=2)
    with closing(connection):
        yield connection


@pytest.fixture
def admin(own: PostgresServer) -> Iterator[Any]:
    """A superuser's cursor on a table with two movies."""
    with closing(data.connect(own.dsn("postgres"))) as connection, connection.cursor() as cursor:
        cursor.execute("SET search_path = public")
        cursor.execute("TRUNCATE movies CASCADE")
        cursor.execute("INSERT INTO movies (movie_id, title) VALUES (%s, 'A'), (%s, 'B')", (MOVIE, MOVIE + 1))
        yield cursor


def state(database: Database) -> MoviesState:
    found = load_ranking_context(database, None).movies
    assert found is not None
    return found


def titles(known: MovieCache, database: Database) -> dict[int, str]:
    rows = known.at(state(database)).find(database, [MOVIE, MOVIE + 1, MOVIE + 2])
    return {movie_id: row["title"] for movie_id, row in rows.items()}


@pytest.mark.parametrize(
    ("statement", "after"),
    [
        ("SELECT", {MOVIE: "A", MOVIE + 1: "B"}),
        (f"UPDATE movies SET title = 'C' WHERE movie_id = {MOVIE}", {MOVIE: "C", MOVIE + 1: "B"}),
        (f"DELETE FROM movies WHERE movie_id = {MOVIE}", {MOVIE + 1: "B"}),
        (
            f"INSERT INTO movies (movie_id, title) VALUES ({MOVIE + 2}, 'C')",
            {MOVIE: "A", MOVIE + 1: "B", MOVIE + 2: "C"},
        ),
        (
            f"UPDATE movies SET movie_id = {MOVIE + 2} WHERE movie_id = {MOVIE}",
            {MOVIE + 2: "A", MOVIE + 1: "B"},
        ),
        ("TRUNCATE movies CASCADE", {}),
        (
            f"SET session_replication_role = replica; DELETE FROM movies WHERE movie_id = {MOVIE}; "
            "RESET session_replication_role",
            {MOVIE + 1: "B"},
        ),
        # The record of the deletion is pruned before the next read.
        (f"DELETE FROM movies WHERE movie_id = {MOVIE}; SELECT capture.prune('-1 s')", {MOVIE + 1: "B"}),
        # After the newest movie is deleted, the newest one left is older than the cache.
        (f"DELETE FROM movies WHERE movie_id = {MOVIE + 1}", {MOVIE: "A"}),
    ],
)
def test_every_kind_of_change_is_seen(
    admin: Any, database: Database, statement: str, after: dict[int, str]
) -> None:
    known = MovieCache()
    assert titles(known, database) == {MOVIE: "A", MOVIE + 1: "B"}

    admin.execute(statement)

    assert titles(known, database) == after


def test_unchanged_movies_are_not_asked_for_again(
    admin: Any, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = MovieCache()
    before = titles(known, database)
    # Other tables' changes, and transactions that write nothing, do not count.
    admin.execute("INSERT INTO users (username, email) VALUES ('known.movies', 'known.movies@example.org')")
    admin.execute("DELETE FROM users WHERE username = 'known.movies'")
    monkeypatch.setattr(module, "find_movies", None)

    assert titles(known, database) == before


def test_a_change_that_was_under_way_is_seen_when_it_is_committed(
    own: PostgresServer, admin: Any, database: Database
) -> None:
    known = MovieCache()
    with closing(psycopg2.connect(own.dsn("postgres"))) as late, late.cursor() as cursor:
        cursor.execute("UPDATE public.movies SET title = 'C' WHERE movie_id = %s", (MOVIE,))
        # Later transactions commit while this one is open.
        admin.execute("UPDATE movies SET title = 'D' WHERE movie_id = %s", (MOVIE + 1,))
        assert titles(known, database) == {MOVIE: "A", MOVIE + 1: "D"}
        assert titles(known, database) == {MOVIE: "A", MOVIE + 1: "D"}
        late.commit()
    assert titles(known, database) == {MOVIE: "C", MOVIE + 1: "D"}


def test_movies_read_before_a_change_are_not_added_to_those_read_after_it(
    admin: Any, database: Database
) -> None:
    known = MovieCache()
    early = known.at(state(database))
    early.find(database, [MOVIE])
    admin.execute("UPDATE movies SET title = 'C' WHERE movie_id = %s", (MOVIE,))
    late = known.at(state(database))

    early.find(database, [MOVIE + 1])

    assert late.rows == {}
    assert titles(known, database) == {MOVIE: "C", MOVIE + 1: "B"}


def test_memory_has_bounds_in_number_and_age(
    admin: Any, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = MovieCache()
    monkeypatch.setattr(module, "MAX_MOVIES", 2)
    # An id without a movie counts too: the cache stores that as well.
    assert titles(known, database) == {MOVIE: "A", MOVIE + 1: "B"}
    assert known.at(state(database)).rows == {}
    known.at(state(database)).find(database, [MOVIE, MOVIE + 2])
    assert known.at(state(database)).rows.keys() == {MOVIE, MOVIE + 2}
    monkeypatch.setattr(module, "MAX_AGE_S", 0.0)
    assert known.at(state(database)).rows == {}


def test_a_restarted_server_invalidates_the_cache(admin: Any, database: Database) -> None:
    known = MovieCache()
    now = state(database)
    read = known.at(now)
    again = MoviesState(("another start", now.source[1]), now.last_xid, now.unseen_from)
    assert known.at(now) is read
    assert known.at(again) is not read


def test_a_movie_renamed_in_postgres_has_its_new_name_in_the_next_list(
    pg: PostgresServer, api: ApiClient, app: Flask, catalogue: Catalogue
) -> None:
    user = api.new_user()
    first = api.get(f"/recommendations/{user}").json["data"][0]
    with closing(data.connect(pg.dsn("dataflix_backend"))) as connection, connection.cursor() as cursor:
        for title in ("Another name", catalogue.titles[first["movie_id"]]):
            cursor.execute("UPDATE movies SET title = %s WHERE movie_id = %s", (title, first["movie_id"]))
            assert api.get(f"/recommendations/{user}").json["data"][0]["title"] == title


def test_the_api_cannot_read_the_keys_of_deleted_rows(own: PostgresServer) -> None:
    with (
        closing(data.connect(own.dsn("dataflix_backend"))) as connection,
        connection.cursor() as cursor,
        pytest.raises(psycopg2.errors.InsufficientPrivilege),
    ):
        cursor.execute("SELECT row_key FROM capture.deletions")
