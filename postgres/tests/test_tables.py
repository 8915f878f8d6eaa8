"""The tables keep out what must not be in them, and look after themselves."""

from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2 import errors
from psycopg2.extensions import connection as Connection  # noqa: N812

TABLES = ("users", "movies", "watched_movies", "ratings")


def fetch(connection: Connection, query: str, *values: object) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values or None)
        return cursor.fetchall()


def execute(connection: Connection, statement: str, *values: object) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.rowcount


def add_user(connection: Connection, username: str = "ann", email: str = "ann@example.org") -> int:
    rows = fetch(
        connection, "INSERT INTO users (username, email) VALUES (%s, %s) RETURNING user_id", username, email
    )
    return int(str(rows[0][0]))


def add_movie(connection: Connection, title: str = "Alien") -> int:
    return int(
        str(fetch(connection, "INSERT INTO movies (title) VALUES (%s) RETURNING movie_id", title)[0][0])
    )


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("username", ""),
        ("username", "two words"),
        ("username", "x" * 65),
        ("email", "no-at-sign"),
        ("email", "two@at@signs"),
        ("email", "space in@example.org"),
        ("email", "x" * 250 + "@example.org"),
        ("first_name", "x" * 101),
        ("birth_year", 1899),
        ("birth_year", 2101),
        ("user_id", 0),
    ],
)
def test_a_bad_user_is_refused(backend: Connection, column: str, value: object) -> None:
    user = {"username": "ann", "email": "ann@example.org", column: value}
    with pytest.raises(errors.CheckViolation) as refused:
        execute(
            backend,
            f"INSERT INTO users ({', '.join(user)}) VALUES ({', '.join(['%s'] * len(user))})",
            *user.values(),
        )
    assert str(refused.value.diag.constraint_name).startswith(f"users_{column}")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("title", "  "),
        ("title", "x" * 501),
        ("genres", ["Drama", None]),
        ("genres", [["Drama"], ["Comedy"]]),
        ("release_year", 1869),
        ("release_year", 2101),
        ("duration_minutes", 0),
        ("imdb_id", "114709"),
        ("tmdb_id", 0),
        ("movie_id", -1),
    ],
)
def test_a_bad_movie_is_refused(backend: Connection, column: str, value: object) -> None:
    movie = {"title": "Alien", column: value}
    with pytest.raises(errors.CheckViolation) as refused:
        execute(
            backend,
            f"INSERT INTO movies ({', '.join(movie)}) VALUES ({', '.join(['%s'] * len(movie))})",
            *movie.values(),
        )
    assert str(refused.value.diag.constraint_name).startswith(f"movies_{column}")


TIMES = [
    ("users", "created_at"),
    ("users", "updated_at"),
    ("movies", "created_at"),
    ("ratings", "rated_at"),
    ("watched_movies", "watched_at"),
    ("user_blocks", "created_at"),
    ("user_blocks", "ends_at"),
    ("ranking_rules", "starts_at"),
    ("ranking_rules", "ends_at"),
    ("feedback", "listed_at"),
    ("feedback", "received_at"),
]


@pytest.mark.parametrize(("table", "column"), TIMES)
def test_times_have_the_range_of_the_warehouse(admin: Connection, table: str, column: str) -> None:
    ((text, validated),) = fetch(
        admin,
        "SELECT pg_get_constraintdef(oid), convalidated FROM pg_constraint WHERE conname = %s",
        f"{table}_{column}_range",
    )
    assert validated
    assert "1900-01-01 00:00:00+00" in text
    assert "2299-12-31 23:59:59.999999+00" in text


@pytest.mark.parametrize(
    "moment",
    ["0044-03-15 BC", "-infinity", "infinity", "1899-12-31 23:59:59.999999+00", "2300-01-01 00:00:00+00"],
)
def test_a_time_outside_of_the_range_is_refused(backend: Connection, moment: str) -> None:
    with pytest.raises(psycopg2.errors.CheckViolation) as refused:
        execute(
            backend,
            "INSERT INTO users (username, email, created_at) VALUES ('old', 'old@example.org', %s)",
            moment,
        )
    assert refused.value.diag.constraint_name == "users_created_at_range"


@pytest.mark.parametrize(
    ("username", "email", "constraint"),
    [
        ("ANN", "other@example.org", "users_username_key"),
        ("\uff21nn", "other@example.org", "users_username_look_key"),
        ("a\u200dnn", "other@example.org", "users_username_look_key"),
        ("other", "Ann@EXAMPLE.org", "users_email_key"),
    ],
)
def test_usernames_and_addresses_are_unique_whatever_their_case(
    backend: Connection, username: str, email: str, constraint: str
) -> None:
    add_user(backend)
    with pytest.raises(errors.UniqueViolation) as refused:
        add_user(backend, username, email)
    assert refused.value.diag.constraint_name == constraint


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rating=st.floats(width=32) | st.integers(-4, 14).map(lambda halves: halves / 2))
def test_only_half_stars_are_stored_and_come_back_exactly(backend: Connection, rating: float) -> None:
    execute(backend, "DELETE FROM users")
    user, movie = add_user(backend), add_movie(backend)
    statement = "INSERT INTO ratings (user_id, movie_id, rating) VALUES (%s, %s, %s) RETURNING rating"
    if 0.5 <= rating <= 5 and rating * 2 == int(rating * 2):
        assert fetch(backend, statement, user, movie, rating) == [(rating,)]
    else:
        with pytest.raises(errors.CheckViolation):
            fetch(backend, statement, user, movie, rating)


@pytest.mark.parametrize("table", ["watched_movies", "ratings"])
def test_rows_about_unknown_users_or_movies_are_refused(backend: Connection, table: str) -> None:
    user, movie = add_user(backend), add_movie(backend)
    more_columns, more_values = (", rating", ", 4") if table == "ratings" else ("", "")
    insert = f"INSERT INTO {table} (user_id, movie_id{more_columns}) VALUES (%s, %s{more_values})"
    for unknown in ((user + 1000, movie), (user, movie + 1000)):
        with pytest.raises(errors.ForeignKeyViolation):
            execute(backend, insert, *unknown)
    assert execute(backend, insert, user, movie) == 1


def test_deleting_a_user_or_a_movie_deletes_its_rows(backend: Connection, admin: Connection) -> None:
    user, movie = add_user(backend), add_movie(backend)
    other_user, other_movie = add_user(backend, "bob", "bob@example.org"), add_movie(backend, "Aliens")
    for a_user, a_movie in (
        (user, movie),
        (user, other_movie),
        (other_user, movie),
        (other_user, other_movie),
    ):
        execute(
            backend, "INSERT INTO ratings (user_id, movie_id, rating) VALUES (%s, %s, 4)", a_user, a_movie
        )
        execute(backend, "INSERT INTO watched_movies (user_id, movie_id) VALUES (%s, %s)", a_user, a_movie)
    execute(backend, "DELETE FROM users WHERE user_id = %s", user)
    execute(backend, "DELETE FROM movies WHERE movie_id = %s", movie)
    for table in ("ratings", "watched_movies"):
        assert fetch(backend, f"SELECT user_id, movie_id FROM {table}") == [(other_user, other_movie)]
    assert fetch(admin, "SELECT user_id FROM pii.user_pseudonyms") == [(other_user,)]


def test_updated_at_moves_with_a_change_and_only_then(backend: Connection) -> None:
    movie = add_movie(backend)
    stamp = "SELECT updated_at FROM movies WHERE movie_id = %s"
    first = fetch(backend, stamp, movie)
    execute(backend, "UPDATE movies SET title = title WHERE movie_id = %s", movie)
    assert fetch(backend, stamp, movie) == first
    execute(backend, "UPDATE movies SET title = 'Alien 3' WHERE movie_id = %s", movie)
    assert fetch(backend, stamp, movie) > first


def test_every_table_stamps_its_changes(admin: Connection) -> None:
    stamped = fetch(
        admin,
        "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgfoid = 'public.set_updated_at'::regproc",
    )
    assert {table for (table,) in stamped} == set(TABLES)


def test_every_trigger_fires_in_every_session(admin: Connection) -> None:
    """A logical subscriber applies changes with session_replication_role = replica."""
    silent = fetch(
        admin,
        "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'A'",
    )
    assert silent == []
    assert len(fetch(admin, "SELECT FROM pg_trigger WHERE tgenabled = 'A'")) > 30


def test_every_foreign_key_has_an_index(admin: Connection) -> None:
    without = fetch(
        admin,
        "SELECT conrelid::regclass, conname FROM pg_constraint AS fk "
        "WHERE contype = 'f' AND NOT EXISTS ("
        "    SELECT FROM pg_index WHERE indrelid = conrelid AND indkey[0] = fk.conkey[1]"
        ")",
    )
    assert without == []


def test_every_table_and_column_is_described(admin: Connection) -> None:
    undescribed = fetch(
        admin,
        "SELECT c.oid::regclass, a.attname FROM pg_class AS c "
        "JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum >= 0 AND NOT a.attisdropped "
        "WHERE c.relkind = 'r' AND c.relnamespace::regnamespace::text IN ('public', 'pii') "
        "AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL)",
    )
    assert undescribed == []


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("lower(title) LIKE 'the mat%'", "movies_title_prefix_idx"),
        ("title_words(title) @@ title_query('matr')", "movies_search_words_idx"),
        ("genres @> ARRAY['Horror']", "movies_genres_idx"),
        ("release_year BETWEEN 1990 AND 1999", "movies_release_year_idx"),
    ],
)
def test_searches_have_their_index(admin: Connection, condition: str, index: str) -> None:
    execute(admin, "SET enable_seqscan = off")
    plan = fetch(admin, f"EXPLAIN SELECT movie_id FROM movies WHERE {condition}")
    assert index in str(plan)


@pytest.mark.parametrize(
    "forbidden",
    [
        "CREATE TABLE loot (a int)",
        "CREATE TEMPORARY TABLE loot (a int)",
        "DROP TABLE ratings",
        "TRUNCATE ratings",
        "ALTER TABLE ratings DISABLE TRIGGER ALL",
        "SELECT * FROM pii.user_pseudonyms",
        "SELECT * FROM pii.hmac_key",
        "SELECT * FROM masked.users",
        "SET ROLE dataflix_owner",
    ],
)
def test_the_backend_may_change_rows_and_nothing_else(backend: Connection, forbidden: str) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        execute(backend, forbidden)


def test_everybody_may_do_nothing(admin: Connection) -> None:
    granted = fetch(
        admin,
        "SELECT 'database ' || datname FROM pg_database, aclexplode(datacl) "
        "WHERE grantee = 0 AND datname <> 'template0' "
        "UNION ALL SELECT 'schema ' || nspname FROM pg_namespace, aclexplode(nspacl) "
        "WHERE grantee = 0 AND nspname NOT IN ('pg_catalog', 'information_schema') "
        "UNION ALL SELECT 'relation ' || relname FROM pg_class, aclexplode(relacl) "
        "WHERE grantee = 0 AND relnamespace::regnamespace::text IN ('public', 'pii', 'masked') "
        "UNION ALL SELECT 'function ' || oid::regprocedure FROM pg_proc "
        "WHERE pronamespace::regnamespace::text IN ('public', 'pii', 'masked', 'capture', 'access') "
        "AND has_function_privilege('elt_reader', oid, 'EXECUTE') "
        # The one that removes the user from the record of an erasure, and three that the view of users
        # calls: they know nothing but the value that they are given.
        "AND oid NOT IN ('masked._erasures_verified(bigint[], bigint, bigint, bigint, text[], bigint[])'"
        "::regprocedure, "
        "'masked._masked_name(text)'::regprocedure, 'masked._place(text)'::regprocedure, "
        "'masked._decade(smallint)'::regprocedure) "
        "UNION ALL SELECT 'superuser owns ' || relname FROM pg_class "
        "WHERE relnamespace::regnamespace::text IN ('public', 'pii', 'masked') "
        "AND relowner::regrole::text = 'postgres'",
    )
    assert granted == []
