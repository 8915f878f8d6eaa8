"""One server for all tests of the schema, and connections as each role."""

from collections.abc import Iterator

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_testkit import PostgresServer, postgres


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    with postgres() as running:
        yield running


def _connection(server: PostgresServer, role: str) -> Iterator[Connection]:
    connection = psycopg2.connect(server.dsn(role))
    connection.autocommit = True
    yield connection
    connection.close()


@pytest.fixture
def admin(server: PostgresServer) -> Iterator[Connection]:
    """Connection as a superuser; the tables are emptied afterwards."""
    connection = psycopg2.connect(server.dsn("postgres"))
    connection.autocommit = True
    yield connection
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE public.users, public.movies, public.erasures, pii.former_pseudonyms CASCADE")
    connection.close()


@pytest.fixture
def backend(server: PostgresServer, admin: Connection) -> Iterator[Connection]:
    yield from _connection(server, "dataflix_backend")


@pytest.fixture
def reader(server: PostgresServer, admin: Connection) -> Iterator[Connection]:
    yield from _connection(server, "elt_reader")


@pytest.fixture
def pii_key(server: PostgresServer) -> bytes:
    return bytes.fromhex(server.environ["DATAFLIX_PII_KEY"])
