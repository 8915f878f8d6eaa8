"""Rules, blocks and feedback keep out what must not be in them."""

from collections.abc import Mapping

import psycopg2
import pytest
from psycopg2 import errors
from psycopg2.extensions import connection as Connection  # noqa: N812

from .test_tables import add_movie, add_user, execute, fetch

RULE = {"kind": "boost", "place": None, "strength": 0.5, "owner": "ann", "ends_at": "2199-01-01T00:00:00Z"}
FEEDBACK = {
    "recommendation_id": "r1.abc",
    "event": "clicked",
    "position": 3,
    "model_version": "7",
    "listed_at": "2026-05-17T12:00:00Z",
}


def insert(connection: Connection, table: str, row: Mapping[str, object]) -> int:
    places = ", ".join(["%s"] * len(row))
    return execute(connection, f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", *row.values())


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "hide"},
        {"kind": "pin"},
        {"kind": "pin", "strength": None},
        {"kind": "pin", "strength": None, "place": 0},
        {"kind": "pin", "strength": None, "place": 101},
        {"kind": "bury"},
        {"strength": None},
        {"strength": 0},
        {"strength": 1.5},
        {"strength": "NaN"},
        {"owner": " "},
        {"starts_at": "2199-01-01T00:00:00Z"},
    ],
)
def test_a_bad_rule_is_refused(backend: Connection, changes: dict[str, object]) -> None:
    rule = RULE | {"movie_id": add_movie(backend)}
    with pytest.raises(errors.CheckViolation):
        insert(backend, "ranking_rules", rule | changes)
    assert insert(backend, "ranking_rules", rule) == 1


@pytest.mark.parametrize("column", ["owner", "ends_at", "movie_id"])
def test_a_rule_needs_movie_owner_and_end(backend: Connection, column: str) -> None:
    with pytest.raises(errors.NotNullViolation):
        insert(backend, "ranking_rules", RULE | {"movie_id": add_movie(backend), column: None})


@pytest.mark.parametrize(
    "changes", [{"event": "liked"}, {"position": 0}, {"position": 101}, {"recommendation_id": ""}]
)
def test_bad_feedback_is_refused(backend: Connection, changes: dict[str, object]) -> None:
    with pytest.raises(errors.CheckViolation):
        insert(backend, "feedback", FEEDBACK | {"movie_id": add_movie(backend)} | changes)


def test_feedback_is_never_changed(backend: Connection) -> None:
    insert(backend, "feedback", FEEDBACK | {"movie_id": add_movie(backend)})
    with pytest.raises(errors.InsufficientPrivilege):
        execute(backend, "UPDATE feedback SET position = 1")


def test_deleting_a_user_or_a_movie_deletes_feedback_blocks_and_rules(backend: Connection) -> None:
    user, deleted, other = add_user(backend), add_movie(backend), add_movie(backend, "Other")
    for movie in (deleted, other):
        insert(backend, "feedback", FEEDBACK | {"movie_id": movie, "user_id": user})
        insert(backend, "user_blocks", {"user_id": user, "movie_id": movie, "owner": "user"})
        insert(backend, "ranking_rules", RULE | {"movie_id": movie})
    execute(backend, "DELETE FROM movies WHERE movie_id = %s", deleted)
    for table in ("feedback", "user_blocks", "ranking_rules"):
        assert fetch(backend, f"SELECT movie_id FROM {table}") == [(other,)]
    execute(backend, "DELETE FROM users WHERE user_id = %s", user)
    assert fetch(backend, "SELECT count(*) FROM feedback") == [(0,)]
    assert fetch(backend, "SELECT count(*) FROM user_blocks") == [(0,)]


def test_the_reader_sees_feedback_as_it_is(backend: Connection, reader: Connection) -> None:
    movie = add_movie(backend)
    insert(backend, "feedback", FEEDBACK | {"movie_id": movie})
    seen = fetch(reader, "SELECT movie_id, event, user_id, position, model_version FROM feedback")
    assert seen == [(movie, "clicked", None, 3, "7")]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        fetch(reader, "SELECT * FROM public.feedback")
