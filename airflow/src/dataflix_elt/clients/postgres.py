"""A connection to the source as `elt_reader`; its errors never show a value of a row."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import psycopg2
import psycopg2.extensions

from dataflix_elt.errors import BusyError, LockTimeoutError, SourceError, SourceUnavailableError
from dataflix_elt.log import EventLog
from dataflix_elt.settings import SourceSettings

_log = EventLog(logging.getLogger(__name__))

# Fixes all that text output depends on, whatever the defaults of the role and the server are.
_SESSION = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "search_path": "pg_catalog",
    # A long load is no hung session; keepalives notice a peer that has vanished.
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    # To compile a query takes longer than to answer most of ours.
    "jit": "off",
    # The wait for another load of the same table; a full load of a large one takes about this long.
    "lock_timeout": "20min",
}

_CONNECT_TIMEOUT_S = 10

# Classes of SQLSTATE whose messages are about connections, roles, names and limits, never about a row.
_SAFE_CLASSES = ("08", "28", "3D", "42", "53", "55", "57")
# Classes where a later try may succeed: connection, resources, operator intervention.
_TRANSIENT_CLASSES = ("08", "53", "57", "58", "40")


class Session:
    """Statements on one connection."""

    def __init__(self, connection: "psycopg2.extensions.connection", address: str) -> None:
        self._connection = connection
        self.address = address

    def advisory_lock(self, name: str) -> None:
        """Wait for the advisory lock of this name. The end of the session releases it, however that happens.

        Raises:
            BusyError: another session still holds it after 20 minutes.
        """
        self._connection.autocommit = True
        key = (f"dataflix elt {name}",)
        if self.row("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", key)[0]:
            return
        _log.info("waiting_for_lock", lock=name)
        try:
            with self._errors(), self._connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", key)
        except LockTimeoutError:
            raise BusyError(
                f"Another session has held the lock {name!r} for 20 minutes: a load, a publication or an "
                "erasure is running. Nothing was changed; try again when the pipeline is done."
            ) from None

    def begin(self) -> None:
        """Begin the read-only transaction whose statements all see the same moment."""
        self._connection.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)

    def begin_read_committed(self) -> None:
        """Begin a read-only transaction whose statements each see the moment they begin."""
        self._connection.set_session(isolation_level="READ COMMITTED", readonly=True, autocommit=False)

    def rollback(self) -> None:
        """End the transaction, and release its locks."""
        with self._errors():
            self._connection.rollback()

    @contextmanager
    def lock_timeout(self, timeout: str) -> Iterator[None]:
        """Wait for locks no longer than `timeout` inside the block, within the transaction."""
        self.execute(f"SET LOCAL lock_timeout = '{timeout}'")
        yield
        self.execute(f"SET LOCAL lock_timeout = '{_SESSION['lock_timeout']}'")

    @contextmanager
    def prefer_indexes(self) -> Iterator[None]:
        """Make the planner use indexes inside the block, within the transaction."""
        self.execute("SET LOCAL enable_seqscan = off")
        yield
        self.execute("SET LOCAL enable_seqscan = on")

    def rows(self, query: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self._errors(), self._connection.cursor() as cursor:
            cursor.execute(query, parameters or None)
            return cursor.fetchall()

    def row(self, query: str, parameters: tuple[Any, ...] = ()) -> tuple[Any, ...]:
        """Return the one row of a query."""
        return self.rows(query, parameters)[0]

    def execute(self, statement: str) -> None:
        """Run a statement that returns nothing."""
        with self._errors(), self._connection.cursor() as cursor:
            cursor.execute(statement)

    def copy(self, query: str, sink: BinaryIO) -> None:
        r"""Write a query's rows to `sink` as CSV; NULL is a bare \N.

        CSV, because only in this format does ClickHouse undo the quoting before it reads an array. In the
        tab-separated format, which is no faster, the two ways to escape conflict.
        """
        with self._errors(), self._connection.cursor() as cursor:
            cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT csv, NULL '\\N')", sink)

    def cancel(self) -> None:
        """End the statement that another thread runs on this session."""
        with self._errors():
            self._connection.cancel()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg2.Error as error:
            # Without its cause: the text of the original may contain values of a row.
            raise _translated(error, self.address) from None


@contextmanager
def session(settings: SourceSettings) -> Iterator[Session]:
    """Connect to Postgres.

    Raises:
        SourceUnavailableError: Postgres cannot be reached, or refused the role.
    """
    try:
        connection = psycopg2.connect(
            host=settings.host,
            port=settings.port,
            dbname=settings.dbname,
            user=settings.user,
            password=settings.password,
            application_name="dataflix-elt",
            client_encoding="UTF8",
            connect_timeout=_CONNECT_TIMEOUT_S,
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
            options=" ".join(f"-c {name}={value}" for name, value in _SESSION.items()),
        )
    except psycopg2.OperationalError as error:
        raise SourceUnavailableError(
            f"Postgres at {settings.host}:{settings.port} cannot be used: {str(error).strip()}"
        ) from None
    try:
        yield Session(connection, f"{settings.host}:{settings.port}/{settings.dbname}")
    finally:
        connection.close()


def _translated(
    error: psycopg2.Error, address: str
) -> SourceError | SourceUnavailableError | LockTimeoutError:
    state = error.pgcode or ""
    if isinstance(error, psycopg2.errors.LockNotAvailable):
        return LockTimeoutError(
            f"A statement in Postgres at {address} has locked a table that the masked views show, for too "
            "long. Nothing was changed; try again when it is done."
        )
    if not state:
        return SourceUnavailableError(f"The connection to Postgres at {address} broke.")
    message = f"Postgres at {address} failed with {type(error).__name__} ({state})"
    if state.startswith(_SAFE_CLASSES):
        message += f": {error.diag.message_primary}"
    if state.startswith(_TRANSIENT_CLASSES):
        return SourceUnavailableError(message)
    return SourceError(message)
