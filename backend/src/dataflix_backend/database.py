"""Postgres: a bounded pool of autocommit connections. Every call is one message, so one round trip."""

import logging
import select
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg2
from psycopg2 import errors as pg
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 spells its class in lower case
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - as above
from psycopg2.extensions import new_type, register_type

from dataflix_backend.exceptions import UnavailableError
from dataflix_backend.schemas.fields import stored_time
from dataflix_backend.settings import PostgresSettings

# A healthy answer takes milliseconds; the longest statement (popularity over all ratings) seconds.
STATEMENT_TIMEOUT_MS = 10_000
# On one machine a connect succeeds or is refused at once; this bounds a lost network.
CONNECT_TIMEOUT_S = 3
# How long a request waits for a free connection.
POOL_TIMEOUT_S = 5.0
# Pause after a failed connect: on a lost network each attempt would take seconds.
RECONNECT_AFTER_S = 0.5

# A full disk is an OperationalError; a standby or a read-only server raises ReadOnlySqlTransaction.
_UNAVAILABLE = (psycopg2.OperationalError, psycopg2.InterfaceError, pg.ReadOnlySqlTransaction)

_TIMESTAMPTZ_OID = 1184


def _read_time(text: str | bytes | None, _cursor: object) -> datetime | None:
    return None if text is None else stored_time(text if isinstance(text, str) else text.decode())


_TIMESTAMPTZ = new_type((_TIMESTAMPTZ_OID,), "STORED_TIME", _read_time)

Row = dict[str, Any]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement that each connection parses and plans once; for statements that every request runs.

    Attributes:
        name: the statement's name in Postgres.
        types: the types of the parameters $1, $2 and so on, as an SQL list.
        sql: the statement.
    """

    name: LiteralString
    types: LiteralString
    sql: LiteralString


class _PreparingConnection(Connection):
    """A connection with the names of the statements that are prepared on it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.prepared: set[str] = set()


class Database:
    """A pool of at most ``size`` connections, opened when needed and replaced when they break.

    All methods raise UnavailableError when Postgres cannot be reached or does not answer in time. Every
    call is atomic, so an error never leaves half a result.
    """

    def __init__(self, settings: PostgresSettings, size: int) -> None:
        self._settings = settings
        self._idle: deque[_PreparingConnection] = deque()
        self._free = threading.BoundedSemaphore(size)
        self._retry_after = 0.0

    def query(self, sql: LiteralString, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """Run one statement and return its rows as dictionaries.

        Several in one text are one transaction, and the rows are those of the last one.
        """
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return _rows(cursor)

    def query_prepared(self, statement: Prepared, *parameters: Any) -> list[Row]:
        """Run a prepared statement as ``query`` does; the first use on a connection takes two round trips."""
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
            raise UnavailableError("Every database connection is busy; try again in a moment.")
        connection = None
        try:
            connection = self._take()
            yield connection
        except _UNAVAILABLE as error:
            _log.warning("database unavailable", extra={"reason": type(error).__name__, "code": error.pgcode})
            raise UnavailableError(_explain(connection, error)) from error
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
        if time.monotonic() < self._retry_after:
            raise UnavailableError(_UNREACHABLE)
        settings = self._settings
        try:
            connection = psycopg2.connect(
                host=settings.postgres_host,
                port=settings.postgres_port,
                dbname=settings.postgres_db,
                user=settings.postgres_user,
                password=settings.postgres_password,
                connect_timeout=CONNECT_TIMEOUT_S,
                application_name="dataflix-backend",
                connection_factory=_PreparingConnection,
                options=f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c timezone=UTC",
            )
        except psycopg2.OperationalError:
            self._retry_after = time.monotonic() + RECONNECT_AFTER_S
            raise
        connection.autocommit = True
        # psycopg2's own fails at times that Postgres can hold and Python cannot.
        register_type(_TIMESTAMPTZ, connection)
        return connection


def _rows(cursor: Cursor) -> list[Row]:
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


_UNREACHABLE = "The database cannot be reached; nothing was changed."


def _explain(connection: Connection | None, error: psycopg2.Error) -> str:
    """Return what a client may rely on: a statement on a connection that broke may have been carried out."""
    if connection is None:
        return _UNREACHABLE
    if connection.closed:
        return "The database connection broke: either the whole change was made or nothing. Try again."
    if isinstance(error, pg.QueryCanceled):
        return "The database took too long; nothing was changed."
    return "The database cannot do this now; nothing was changed."


def _is_alive(connection: Connection) -> bool:
    """Return whether an idle connection is still open: one that the server closed is readable."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not connection.closed and not poll.poll(0)
