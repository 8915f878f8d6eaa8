"""API keys for tests, made as the command makes them."""

import itertools
from collections.abc import Sequence

from dataflix_backend.api_key import new_secret, secret_hash
from dataflix_backend.database import Database
from dataflix_backend.queries.api_keys import create_key
from dataflix_backend.settings import PostgresSettings
from dataflix_testkit import PostgresServer

_numbers = itertools.count()


def database(pg: PostgresServer) -> Database:
    return Database(PostgresSettings.from_environ(pg.environ), 1)


def make_key(pg: PostgresServer, scopes: Sequence[str], user_id: int | None = None, name: str = "") -> str:
    """Make a key and return its secret."""
    secret = new_secret()
    connection = database(pg)
    create_key(connection, name or f"client-{next(_numbers)}", scopes, user_id, secret_hash(secret))
    connection.close()
    return secret
