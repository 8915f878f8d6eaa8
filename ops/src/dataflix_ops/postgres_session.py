"""Sessions of the role postgres, for operations that no other role may do."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812  psycopg2's own name is lower case


@contextmanager
def administrator(
    *, host: str, port: int, dbname: str, password: str, error: type[Exception], readonly: bool = False
) -> Iterator[Connection]:
    """Connect as the role postgres.

    Args:
        host: of Postgres.
        port: of Postgres.
        dbname: which database.
        password: of the role.
        error: what to raise if Postgres can't be used, with a message for the operator.
        readonly: change nothing, and make each statement a transaction of its own.
    """
    try:
        connection = psycopg2.connect(
            host=host, port=port, dbname=dbname, user="postgres", password=password, connect_timeout=10
        )
    except psycopg2.OperationalError:
        raise error(f"Postgres at {host}:{port} can't be used; ./run.sh status shows it.") from None
    if readonly:
        connection.set_session(readonly=True, autocommit=True)
    try:
        yield connection
    finally:
        connection.close()
