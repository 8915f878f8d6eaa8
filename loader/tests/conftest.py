"""A Postgres for the tests of the loaders, started with the first test that needs it."""

from collections.abc import Iterator

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_testkit import PostgresServer, postgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with postgres() as running:
        yield running


@pytest.fixture
def database(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connection]:
    """Yield a superuser's connection to empty tables; the environment points the loaders there."""
    for name, value in postgres_server.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DATAFLIX_HOME", str(tmp_path_factory.mktemp("home")))
    connection = psycopg2.connect(postgres_server.dsn("postgres"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        # To truncate users asks for the erasure of each.
        cursor.execute("TRUNCATE users, movies RESTART IDENTITY CASCADE; TRUNCATE erasures CASCADE")
    yield connection
    connection.close()
