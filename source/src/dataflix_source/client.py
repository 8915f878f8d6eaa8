"""Connections: a read-only snapshot of the source, and one transaction in our own Postgres."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

import psycopg2
from psycopg2 import errors, extensions
from psycopg2.extensions import connection as Connection  # noqa: N812  psycopg2's own name is lower case

from dataflix_source.errors import DatabaseError, SourceError, SourceUnavailableError
from dataflix_source.settings import COPIER, OwnSettings, SourceSettings

_CONNECT_TIMEOUT_S = 10
_LATER = "When it answers again, the next copy goes on from the last one; a running ./run.sh begins it."
# No statement of the API takes as long; what does is a bulk load or a session that somebody forgot.
LOCK_TIMEOUT = "60s"
# A server that goes away without a word is noticed within half a minute, also while it sends nothing.
_KEEPALIVE = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
_COPY_CHUNK_BYTES = 1 << 16

Row = tuple[Any, ...]
Values = Sequence[Any] | Mapping[str, Any] | None


class Session:
    """Statements in one transaction of one database; errors say which of the two it was."""

    def __init__(
        self, connection: Connection, address: str, explain: Callable[[psycopg2.Error], SourceError]
    ) -> None:
        self.address = address
        self.connection = connection
        self._explain = explain

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn errors of the database into ours.

        Raises:
            SourceError: a statement of the block failed.
        """
        try:
            yield
        except psycopg2.Error as error:
            raise self._explain(error) from error

    def execute(self, statement: str, values: Values = None) -> int:
        """Run a statement; returns the number of rows that it touched."""
        with self.explained(), self.connection.cursor() as cursor:
            cursor.execute(statement, values)
            return int(cursor.rowcount)

    def rows(self, query: str, values: Values = None) -> list[Row]:
        """Return all rows of a query."""
        with self.explained(), self.connection.cursor() as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall())

    def row(self, query: str, values: Values = None) -> Row:
        """Return the only row of a query."""
        (row,) = self.rows(query, values)
        return row

    def value(self, query: str, values: Values = None) -> Any:
        """Return the only value of a query."""
        (value,) = self.row(query, values)
        return value

    def copy_out(self, query: str, sink: BinaryIO) -> None:
        """Write the rows of a query to `sink`, in the text form of COPY."""
        with self.explained(), self.connection.cursor() as cursor:
            cursor.copy_expert(f"COPY ({query}) TO STDOUT", sink, _COPY_CHUNK_BYTES)

    def copy_in(self, table: str, stream: BinaryIO) -> int:
        """Read rows in the text form of COPY; returns their number."""
        with self.explained(), self.connection.cursor() as cursor:
            cursor.copy_expert(f"COPY {table} FROM STDIN", stream, _COPY_CHUNK_BYTES)
            return int(cursor.rowcount)


@contextmanager
def source_snapshot(settings: SourceSettings) -> Iterator[Session]:
    """Open a read-only transaction on the source; all its statements see the same moment.

    It needs nothing from the session, so a pooler may stand between.

    Raises:
        SourceUnavailableError: the source can't be reached, its certificate does not fit, or it went away.
        DatabaseError: the source refused a statement.
    """
    connection = _connect_source(settings)
    session = Session(connection, settings.address, lambda error: _of_source(error, settings))
    try:
        connection.set_session(isolation_level=extensions.ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
        # Names are written with their schemas; what somebody has put into another one can't take their place.
        session.execute("SET LOCAL search_path = pg_catalog")
        session.execute("SET LOCAL TimeZone = 'UTC'")
        session.execute("SET LOCAL DateStyle = 'ISO'")
        # A policy that hides rows must be an error: hidden people would look like deleted ones.
        session.execute("SET LOCAL row_security = off")
        yield session
    finally:
        connection.close()


@contextmanager
def source_writer(settings: SourceSettings) -> Iterator[Session]:
    """Open a transaction on the source that may write, for the one function of ours that does.

    Raises:
        SourceUnavailableError: as `source_snapshot`.
        DatabaseError: as `source_snapshot`.
    """
    connection = _connect_source(settings)
    session = Session(connection, settings.address, lambda error: _of_source(error, settings))
    try:
        yield session
        with session.explained():
            connection.commit()
    finally:
        connection.close()


def _connect_source(settings: SourceSettings) -> Connection:
    root = settings.root_certificate
    tls: dict[str, Any] = {"sslmode": settings.sslmode}
    if root is not None:
        tls["sslrootcert"] = str(root)
    elif settings.sslmode == "verify-full":
        tls["sslrootcert"] = "system"
    parameters: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "dbname": settings.dbname,
        "user": settings.user,
        "password": settings.password or None,
        "connect_timeout": _CONNECT_TIMEOUT_S,
        "application_name": "dataflix-source",
        "client_encoding": "UTF8",
        **tls,
        **_KEEPALIVE,
    }
    try:
        connection: Connection = psycopg2.connect(**parameters)
    except psycopg2.OperationalError as error:
        text = " ".join(str(error).split())
        raise SourceUnavailableError(
            f"The source {settings.address} can't be used: {text}. {_advice(text, settings)}"
        ) from error
    return connection


def _advice(text: str, settings: SourceSettings) -> str:
    """Return what to do about a connection that libpq refused with this text."""
    if "certificate" in text or "SSL" in text:
        name = (
            " DATAFLIX_SOURCE_HOST must be the name in the server's certificate."
            if "does not match host name" in text
            else ""
        )
        return (
            f"DATAFLIX_SOURCE_SSLMODE is {settings.sslmode}; DATAFLIX_SOURCE_SSLROOTCERT names the"
            f" certificate of who signed the server's.{name} Nothing was sent."
        )
    if "password authentication failed" in text:
        return (
            "DATAFLIX_SOURCE_USER and DATAFLIX_SOURCE_PASSWORD in .env say who we are; with --user, the"
            r" password is the one typed. In .env it stands in single quotes, with \' for ' and \\ for \."
        )
    return "DATAFLIX_SOURCE_* in .env say where it is and who we are."


def _of_source(error: psycopg2.Error, settings: SourceSettings) -> SourceError:
    message = error.diag.message_primary or " ".join(str(error).split()) or "the connection was lost"
    if isinstance(error, errors.InsufficientPrivilege):
        return DatabaseError(
            f"The source {settings.address} refused: {message}. Role {settings.user} needs that right; "
            "`./run.sh source check` names all that are missing."
        )
    if isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError) and not error.pgcode:
        return SourceUnavailableError(f"The source {settings.address} went away: {message}. {_LATER}")
    if isinstance(error, errors.AdminShutdown | errors.CrashShutdown):
        return SourceUnavailableError(f"The source {settings.address} was shut down: {message}. {_LATER}")
    return DatabaseError(f"The source {settings.address} failed: {message}.")


@contextmanager
def own_transaction(settings: OwnSettings) -> Iterator[Session]:
    """Open a transaction in our own Postgres as the role that copies; the end of the block commits it.

    Raises:
        DatabaseError: our Postgres can't be reached or used, or has no tables yet.
    """
    try:
        connection = psycopg2.connect(
            host=settings.host,
            port=settings.port,
            dbname=settings.dbname,
            user=COPIER,
            password=settings.copier_password,
            connect_timeout=_CONNECT_TIMEOUT_S,
            application_name="dataflix-source",
            client_encoding="UTF8",
        )
    except psycopg2.OperationalError as error:
        raise DatabaseError(
            f"Our own Postgres, {settings.address}, can't be used: {' '.join(str(error).split())}. "
            "Is it running (./run.sh status)?"
        ) from error
    session = Session(connection, settings.address, lambda error: _of_ours(error, settings))
    try:
        session.execute("SET search_path = public")
        session.execute("SET TimeZone = 'UTC'")
        session.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
        yield session
        with session.explained():
            connection.commit()
    except BaseException:
        # The server notices a closed connection only later, and until then it keeps the lock of the copy.
        with suppress(psycopg2.Error):
            connection.rollback()
        raise
    finally:
        connection.close()


def _of_ours(error: psycopg2.Error, settings: OwnSettings) -> SourceError:
    message = error.diag.message_primary or " ".join(str(error).split()) or "the connection was lost"
    lacks = errors.UndefinedObject | errors.UndefinedTable | errors.InvalidSchemaName
    if isinstance(error, lacks | errors.InsufficientPrivilege):
        return DatabaseError(
            f"Our own Postgres, {settings.address}, lacks tables or rights ({message}). "
            "postgres/init/*.sql creates them; ./run.sh runs these files."
        )
    if isinstance(error, errors.LockNotAvailable):
        return DatabaseError("Another session locked our tables for more than a minute. Try again later.")
    return DatabaseError(f"Our own Postgres, {settings.address}, failed: {message}.")
