"""A database of ours that is a copy of another application's, as `dataflix-source copy` leaves it."""

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from psycopg2.extras import Json, execute_values

from dataflix_recommender import Model, SourceIdentity
from dataflix_stack.services import postgres as cluster
from dataflix_testkit import PostgresServer

from .data import connect
from .models import taste_model

# Our numbers, so large that nothing else in an answer looks like them.
FIRST_USER, FIRST_MOVIE = 7_000_000_001, 8_000_000_001
OUR_NUMBERS = (b"70000000", b"80000000")

ADDRESS = "ann.early+shop@example.org"
LONG = "x" * 397 + "/ü "
PEOPLE = (
    ADDRESS,
    "a/b c",
    "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    LONG,
    "100%/~1%2F?#&;=+",
    "7000000001",
    "Größe 💶",
)
ITEMS = tuple(f"SKU/{number} a" for number in range(1, 31))
KINDS = {"view": 0.2, "purchase": 1.5, "returned": -2.0}
SHOP = SourceIdentity("shop", "7300000000000000001", 16384)
COLOURS = ("red", "green", "blue")


@dataclass(frozen=True)
class Copied:
    """The copied database.

    Attributes:
        server: where it is.
        users: our numbers of people, by their ids.
        movies: our numbers of items, by their ids.
    """

    server: PostgresServer
    users: dict[str, int]
    movies: dict[str, int]

    @property
    def model(self) -> Model:
        """A model of this copy, whose kinds have the weights of its description."""
        genres = {number: [COLOURS[index % 3].title()] for index, number in enumerate(self.movies.values())}
        titles = {number: f"Lamp {index}" for index, number in enumerate(self.movies.values())}
        return taste_model(genres, titles, kinds=KINDS, source=SHOP)

    def execute(self, statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Run a statement as a superuser; returns its rows."""
        with closing(connect(self.server.dsn("postgres"))) as connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return list(cursor.fetchall()) if cursor.description else []

    def add_person(self, key: str) -> int:
        """Add a person as a copy does."""
        name = f"account-{uuid.uuid4().hex}"
        ((number,),) = self.execute(
            "WITH made AS (INSERT INTO users (username, email) VALUES (%s, %s) RETURNING user_id)"
            " INSERT INTO source.people (source_key, user_id) SELECT %s, user_id FROM made RETURNING user_id",
            (name, f"{name}@source.invalid", key),
        )
        return int(number)

    def add_item(self, key: str) -> int:
        """Add an item as a copy does."""
        ((number,),) = self.execute(
            "WITH made AS (INSERT INTO movies (title) VALUES ('Something new') RETURNING movie_id)"
            " INSERT INTO source.items (source_key, movie_id) SELECT %s, movie_id FROM made"
            " RETURNING movie_id",
            (key,),
        )
        return int(number)


def segment(key: str) -> str:
    """Return an id as a segment of a path."""
    return quote(key, safe="")


@contextmanager
def copied_database(server: PostgresServer) -> Iterator[Copied]:
    """Make a copy of a shop without ratings in a database of its own on the server."""
    environ = server.environ | {"DATAFLIX_POSTGRES_DB": "copied"}
    password = environ["DATAFLIX_POSTGRES_ADMIN_PASSWORD"]
    cluster.apply_init(
        host=server.host, port=server.port, dbname="copied", password=password, environ=environ
    )
    there = PostgresServer(server.host, server.port, "copied", environ, server.data)
    with closing(connect(there.dsn("postgres"))) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence('users', 'user_id'), %s, false),"
            " setval(pg_get_serial_sequence('movies', 'movie_id'), %s, false)",
            (FIRST_USER, FIRST_MOVIE),
        )
        users = {key: FIRST_USER + index for index, key in enumerate(PEOPLE)}
        movies = {key: FIRST_MOVIE + index for index, key in enumerate(ITEMS)}
        execute_values(
            cursor,
            "INSERT INTO users (username, email) VALUES %s",
            [(f"account-{index}", f"account-{index}@source.invalid") for index in range(len(users))],
        )
        execute_values(
            cursor,
            "INSERT INTO movies (title, genres) VALUES %s",
            [(f"Lamp {index}", ["Lamps", COLOURS[index % 3].title()]) for index in range(len(movies))],
        )
        execute_values(cursor, "INSERT INTO source.people VALUES %s", list(users.items()))
        execute_values(
            cursor,
            "INSERT INTO source.items (source_key, movie_id, attributes) VALUES %s",
            [
                (key, number, Json({"color": COLOURS[index % 3], "price": 10 + index, "sizes": ["S", "M"]}))
                for index, (key, number) in enumerate(movies.items())
            ],
        )
        cursor.execute(
            "INSERT INTO source.description VALUES"
            " (true, 'product', 'products', 'account', 'accounts', 'text', 'text')"
        )
        cursor.execute(
            "INSERT INTO source.event_kinds (kind, entity, weight) VALUES"
            " ('view', 'events.0', %(view)s), ('purchase', 'events.0', %(purchase)s),"
            " ('returned', 'events.1', %(returned)s)",
            KINDS,
        )
        cursor.execute(
            "INSERT INTO source.copies VALUES ('people', %s, %s, 1, %s, 'shop', 'compare', 'Everything.',"
            " NULL, 'hash', '9', now(), now(), 7, 0)",
            (SHOP.name, SHOP.system_identifier, SHOP.database_oid),
        )
        _write_events(cursor, users, movies)
    yield Copied(there, users, movies)


def _write_events(cursor: Any, users: dict[str, int], movies: dict[str, int]) -> None:
    """Write events: person i has bought three lamps of one colour and looked at one of another."""
    items = list(movies.values())
    events = []
    for index, user in enumerate(users.values()):
        bought = [items[(index + 3 * step) % len(items)] for step in range(3)]
        events += [(user, movie, "purchase", 1 + step) for step, movie in enumerate(bought)]
        events += [(user, bought[0], "view", 9), (user, items[(index + 1) % len(items)], "view", 1)]
        events.append((user, items[(index + 5) % len(items)], "returned", 1))
    execute_values(
        cursor,
        "INSERT INTO interactions (user_id, movie_id, kind, events_count, first_at, last_at) VALUES %s",
        events,
        template="(%s, %s, %s, %s, '2026-05-01', '2026-05-02')",
    )
    cursor.execute(
        "INSERT INTO watched_movies (user_id, movie_id, watched_at)"
        " SELECT user_id, movie_id, max(last_at) FROM interactions WHERE kind <> 'returned' GROUP BY 1, 2"
    )
