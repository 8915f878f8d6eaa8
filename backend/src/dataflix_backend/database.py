"""Postgres: a bounded pool of autocommit connections; every call is one statement, so one round trip."""

import logging
import select
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg2
from psycopg2 import errors as pg
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 spells its class in lower case
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - as above

from dataflix_backend.errors import UnavailableProblem
from dataflix_backend.settings import PostgresSettings

# A healthy answer takes milliseconds; the longest statement (popularity over all ratings) seconds.
STATEMENT_TIMEOUT_MS = 10_000
# On one machine a connect succeeds or is refused at once; this bounds a lost network.
CONNECT_TIMEOUT_S = 3
# How long a request waits for a free connection before it answers 503.
POOL_TIMEOUT_S = 5.0
# After a connect that failed, how long nobody tries again: on a lost network each try would take seconds.
RECONNECT_AFTER_S = 0.5

# A disk that is full is an OperationalError; a standby, or a server that was made read-only, takes no writes.
_UNAVAILABLE = (psycopg2.OperationalError, psycopg2.InterfaceError, pg.ReadOnlySqlTransaction)

Row = dict[str, Any]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement that each connection has parsed and planned once: worth it for what every request runs.

    ``types`` are those of its parameters $1, $2 and so on, as SQL lists them.
    """

    name: LiteralString
    types: LiteralString
    sql: LiteralString


class _PreparingConnection(Connection):
    """Remembers what it has prepared, which lasts as long as it does."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.prepared: set[str] = set()


class Database:
    """A pool of at most ``size`` connections, opened when first needed and replaced when Postgres went away.

    Raises UnavailableProblem (503) when Postgres cannot be reached or does not answer in time. A statement is
    atomic on its own, so an error never leaves half a result.
    """

    def __init__(self, settings: PostgresSettings, size: int) -> None:
        self._settings = settings
        self._idle: deque[_PreparingConnection] = deque()
        self._free = threading.BoundedSemaphore(size)
        self._away_until = 0.0

    def query(self, sql: LiteralString, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """Run one statement and return its rows as dictionaries."""
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return _rows(cursor)

    def query_prepared(self, statement: Prepared, *parameters: Any) -> list[Row]:
        """Run a prepared statement, as ``query`` does; the first time on a connection takes one more trip."""
        with self._connection() as connection, connection.cursor() as cursor:
            if statement.name not in connection.prepared:
                cursor.execute(f"PREPARE {statement.name} ({statement.types}) AS {statement.sql}")
                connection.prepared.add(statement.name)
            places = ", ".join(["%s"] * len(parameters))
            cursor.execute(f"EXECUTE {statement.name} ({places})", parameters)
            return _rows(cursor)

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _connection(self) -> Iterator[_PreparingConnection]:
        if not self._free.acquire(timeout=POOL_TIMEOUT_S):
            raise UnavailableProblem("Every database connection is busy; ask again in a moment.")
        connection = None
        try:
            connection = self._take()
            yield connection
        except _UNAVAILABLE as error:
            _log.warning("database unavailable", extra={"reason": type(error).__name__, "code": error.pgcode})
            raise UnavailableProblem(_what_happened(connection, error)) from error
        finally:
            if connection is not None and not connection.closed:
                self._idle.append(connection)
            self._free.release()

    def _take(self) -> _PreparingConnection:
        while self._idle:
            connection = self._idle.pop()
            if _is_alive(connection):
                return connection
            connection.close()
        return self._connect()

    def _connect(self) -> _PreparingConnection:
        if time.monotonic() < self._away_until:
            raise UnavailableProblem(_UNREACHABLE)
        settings = self._settings
        try:
            connection = psycopg2.connect(
                host=settings.host,
                port=settings.port,
                dbname=settings.dbname,
                user=settings.user,
                password=settings.password,
                connect_timeout=CONNECT_TIMEOUT_S,
                application_name="dataflix-backend",
                connection_factory=_PreparingConnection,
                options=f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c timezone=UTC",
            )
        except psycopg2.OperationalError:
            self._away_until = time.monotonic() + RECONNECT_AFTER_S
            raise
        connection.autocommit = True
        return connection


def _rows(cursor: Cursor) -> list[Row]:
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


_UNREACHABLE = "The database cannot be reached; nothing was changed."


def _what_happened(connection: Connection | None, error: psycopg2.Error) -> str:
    """Return what a client may rely on: a statement whose connection broke may have been carried out."""
    if connection is None:
        return _UNREACHABLE
    if connection.closed:
        return "The database went away before it answered: either all of it was done or nothing. Ask again."
    if isinstance(error, pg.QueryCanceled):
        return "The database took too long; nothing was changed."
    return "The database cannot do this at present; nothing was changed."


def _is_alive(connection: Connection) -> bool:
    """Say whether the server still holds an idle connection: one that it closed has become readable."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not connection.closed and not poll.poll(0)
