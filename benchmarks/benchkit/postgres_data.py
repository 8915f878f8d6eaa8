"""Fills the application's Postgres with synthetic users, movies and ratings, by COPY of Arrow tables."""

import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import psycopg2
import pyarrow as pa
from numpy.typing import NDArray
from psycopg2.extensions import cursor as Cursor  # noqa: N812  psycopg2's own name is lower case
from pyarrow import csv

from benchkit.synthetic_ratings import START_S, Ratings
from dataflix_testkit import PostgresServer

GENRES = ("Drama", "Comedy", "Thriller", "Romance", "Action", "Crime", "Horror", "Sci-Fi")
ROWS_AT_A_TIME = 1_000_000
NO_HEADER = csv.WriteOptions(include_header=False)


@contextmanager
def administrator(server: PostgresServer) -> Iterator[Cursor]:
    """Yield a superuser's cursor; its transaction is committed when the block ends without an error."""
    with (
        closing(psycopg2.connect(server.dsn("postgres"))) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SET search_path = public")
        yield cursor


def fill(server: PostgresServer, ratings: Ratings, *, users: int | None = None) -> None:
    """Write users, movies and ratings into empty tables.

    ``users`` is the number of accounts, at least that of the ratings.
    """
    with administrator(server) as cursor:
        copy(cursor, "users", user_rows(max(users or 0, ratings.n_users)))
        copy(cursor, "movies", movie_rows(ratings.n_movies))
        with _without_indexes(cursor, "ratings"):
            copy(cursor, "ratings", rating_rows(ratings.in_time_order()))
    vacuum(server)


def vacuum(server: PostgresServer) -> None:
    """Run VACUUM now, so that autovacuum does not start during a measurement."""
    with closing(psycopg2.connect(server.dsn("postgres"))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
            cursor.execute("CHECKPOINT")


def copy(cursor: Cursor, table: str, rows: pa.Table) -> None:
    """COPY an Arrow table's columns into those of the same names."""
    statement = f"COPY {table} ({', '.join(rows.column_names)}) FROM STDIN (FORMAT csv)"
    for start in range(0, len(rows), ROWS_AT_A_TIME):
        cursor.copy_expert(statement, io.BytesIO(as_csv(rows.slice(start, ROWS_AT_A_TIME))), 1 << 18)


def as_csv(rows: pa.Table) -> bytes:
    """Return the rows as CSV without a header; a missing value is an empty field."""
    sink = io.BytesIO()
    csv.write_csv(rows, sink, NO_HEADER)
    return sink.getvalue()


def rating_rows(ratings: Ratings) -> pa.Table:
    """Return the rows of the table `ratings`."""
    return pa.table(
        {
            "user_id": ratings.users,
            "movie_id": ratings.movies,
            "rating": ratings.stars,
            "rated_at": timestamps(ratings.seconds),
        }
    )


def timestamps(seconds: NDArray[np.int64]) -> Any:
    """Return seconds since 1970 as Arrow timestamps."""
    return pa.array(seconds, pa.timestamp("s", "UTC"))


def user_rows(number: int) -> pa.Table:
    """Return synthetic users 1 to ``number``."""
    ids = np.arange(1, number + 1)
    name = np.char.add("viewer", ids.astype(str))
    letters = np.array([f"{chr(65 + place)}nna" for place in range(26)])
    return pa.table(
        {
            "user_id": ids,
            "username": name,
            "email": np.char.add(name, "@example.org"),
            "first_name": letters[ids % 26],
            "last_name": letters[ids // 26 % 26],
            "city": np.array(["Graz", "Lyon", "Porto", "Turku"])[ids % 4],
            "country": np.array(["Austria", "France", "Portugal", "Finland"])[ids % 4],
            "birth_year": 1940 + ids % 65,
            "created_at": timestamps(START_S - 86_400 + ids % 86_400),
        }
    )


def movie_rows(number: int) -> pa.Table:
    """Return synthetic movies 1 to ``number``, of one or two genres each."""
    ids = np.arange(1, number + 1)
    genres = np.array([f"{{{one}}}" for one in GENRES] + [f"{{{one},Musical}}" for one in GENRES])
    return pa.table(
        {
            "movie_id": ids,
            "title": np.char.add("The Movie of ", ids.astype(str)),
            "genres": genres[ids % len(genres)],
            "release_year": 1930 + ids % 95,
        }
    )


@contextmanager
def _without_indexes(cursor: Cursor, table: str) -> Iterator[None]:
    """Drop triggers, keys and indexes while the block fills a table, and create them again."""
    cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    constraints = _rows(
        cursor,
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        f" WHERE conrelid = '{table}'::regclass AND contype IN ('p', 'f') ORDER BY contype DESC",
    )
    for name, _ in constraints:
        cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    indexes = _rows(cursor, f"SELECT indexname, indexdef FROM pg_indexes WHERE tablename = '{table}'")
    for name, _ in indexes:
        cursor.execute(f"DROP INDEX {name}")
    yield
    for _, definition in indexes:
        cursor.execute(definition)
    for name, definition in constraints:
        cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
    cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")
    cursor.execute(f"SELECT capture.track('{table}', '{table}', 'user_id', 'movie_id')")


def _rows(cursor: Cursor, query: str) -> list[tuple[str, str]]:
    cursor.execute(query)
    return [(str(first), str(second)) for first, second in cursor.fetchall()]
