"""The example for other people's tables gives the ELT what Dataflix's own tables give it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_stack.services import postgres as cluster
from dataflix_testkit import PostgresServer

FOLDER = Path(__file__).resolve().parents[1]
SHOP = """
CREATE SCHEMA shop;
CREATE TABLE shop.customer (
    customer_no bigint PRIMARY KEY, login text, mail text, full_name text, town text, country text, born date,
    registered timestamptz DEFAULT now(), changed timestamptz DEFAULT now()
);
CREATE TABLE shop.film (
    id integer PRIMARY KEY, name text, year integer, director text, minutes integer, category text
);
CREATE TABLE shop.rental (customer_no bigint, film_id integer, rented_on timestamptz DEFAULT now());
CREATE TABLE shop.review (
    customer_no bigint, film_id integer, points integer, written_on timestamptz DEFAULT now()
);
INSERT INTO shop.customer (customer_no, login, mail, full_name, born)
VALUES (1, 'ann', 'ann@example.org', 'Ann Early', '1980-05-05');
INSERT INTO shop.film VALUES (9, 'Alien', 1979, 'Ridley Scott', 117, 'Horror, Sci-Fi');
INSERT INTO shop.rental (customer_no, film_id) VALUES (1, 9), (1, 9);
INSERT INTO shop.review (customer_no, film_id, points) VALUES (1, 9, 9);
"""


def run_file(server: PostgresServer, file: Path) -> None:
    cluster.run_sql(
        host=server.host,
        port=server.port,
        dbname="shop",
        password=server.environ["DATAFLIX_POSTGRES_ADMIN_PASSWORD"],
        arguments=["-f", str(file)],
        environ=server.environ,
    )


@pytest.fixture
def shop(server: PostgresServer, admin: Connection) -> Iterator[Connection]:
    with admin.cursor() as cursor:
        cursor.execute("CREATE DATABASE shop")
    connection = psycopg2.connect(server.dsn("postgres", "shop"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(SHOP)
    for name in ("01_roles.sql", "02_change_capture.sql", "04_pseudonyms.sql"):
        run_file(server, FOLDER / "init" / name)
    for _ in range(2):
        run_file(server, FOLDER / "examples" / "own_database.sql")
    yield connection
    connection.close()
    with admin.cursor() as cursor:
        cursor.execute("DROP DATABASE shop WITH (FORCE)")


def columns(connection: Connection) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "JOIN pg_class ON attrelid = pg_class.oid "
            "WHERE relnamespace::regnamespace::text = 'masked' AND attnum > 0 "
            "ORDER BY attrelid::regclass::text, attnum"
        )
        return cursor.fetchall()


def test_the_views_have_the_columns_of_ours(shop: Connection, admin: Connection) -> None:
    # These views of the shop do not tell their changes, and its erasures are its own.
    whole = [(f"masked.{view}", "_changed_in", "xid8") for view in ("movies", "watched_movies", "feedback")]
    ours = [column for column in columns(admin) if not column[0].startswith("masked._eras")]
    assert columns(shop) == [column for column in ours if column not in whole]
    assert len(columns(shop)) == 50


def test_the_reader_sees_masked_rows_of_old_and_new_customers(
    server: PostgresServer, shop: Connection
) -> None:
    with shop.cursor() as cursor:
        cursor.execute(
            "INSERT INTO shop.customer (customer_no, login, mail, full_name) "
            "VALUES (2, 'bob', 'bob@example.org', 'Bob Late')"
        )
        cursor.execute("UPDATE shop.customer SET mail = 'ANN@example.org' WHERE customer_no = 1")
    reader = psycopg2.connect(server.dsn("elt_reader", "shop"))
    try:
        with reader.cursor() as cursor:
            cursor.execute("SELECT user_id, first_name, last_name, birth_year FROM users ORDER BY user_id")
            assert cursor.fetchall() == [(1, "A***", "***", 1980), (2, "B***", "***", None)]
            cursor.execute("SELECT count(DISTINCT username_hash), min(length(email_hash)) FROM users")
            assert cursor.fetchone() == (2, 64)
            cursor.execute("SELECT title, genres, duration_minutes FROM movies")
            assert cursor.fetchall() == [("Alien", ["Horror", "Sci-Fi"], 117)]
            cursor.execute("SELECT user_id, movie_id, rating FROM ratings")
            assert cursor.fetchall() == [(1, 9, 4.5)]
            cursor.execute("SELECT user_id, movie_id FROM watched_movies")
            assert cursor.fetchall() == [(1, 9)]
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute("SELECT mail FROM shop.customer")
    finally:
        reader.close()
