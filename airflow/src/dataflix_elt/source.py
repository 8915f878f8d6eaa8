"""The source: Postgres, read as `elt_reader` through the masked views, in one snapshot."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import psycopg2
import psycopg2.extensions

from dataflix_elt.errors import SchemaDriftError, SourceError, SourceUnavailableError, UnfitRowsError
from dataflix_elt.reconciliation import Profile, source_checksum
from dataflix_elt.settings import SourceSettings
from dataflix_elt.tables import SOURCE_SCHEMA, Table

# Everything that text output depends on is fixed here, whatever the role's or the server's defaults are.
_SESSION = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "search_path": "pg_catalog",
    # A long load is no hung session; a peer that vanished without a word is noticed by the keepalives.
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}

_CONNECT_TIMEOUT_S = 10

# Classes of SQLSTATE whose messages speak of connections, roles, names and limits, never of a row.
_SAFE_CLASSES = ("08", "28", "3D", "42", "53", "55", "57")
# Those where a later try may find things better: connection, resources, operator intervention.
_TRANSIENT_CLASSES = ("08", "53", "57", "58", "40")


class Snapshot:
    """One transaction on the source: everything asked of it is answered from the same moment."""

    def __init__(self, connection: "psycopg2.extensions.connection", settings: SourceSettings) -> None:
        self._connection = connection
        self._address = f"{settings.host}:{settings.port}/{settings.dbname}"
        # Taking the snapshot is the first statement's work; its oldest open transaction is where a run that
        # carries over changes alone would begin to read the next time.
        self.xmin = int(self._one_row("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")[0])

    def require_columns(self, table: Table) -> list[str]:
        """Check that the view has the columns the specification names; returns the names it has beyond them.

        Raises:
            SchemaDriftError: the view is missing, or a column is missing or of another type.
        """
        rows = self._rows(
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute AS a"
            " JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped"
            " ORDER BY a.attnum",
            (SOURCE_SCHEMA, table.name),
        )
        found: dict[str, str] = dict(rows)
        if not found:
            raise SchemaDriftError(f"{table.source} does not exist in {self._address}.")
        problems = [
            f"column {column.name} is missing"
            if column.name not in found
            else f"column {column.name} is {found[column.name]}, expected {column.kind.source_type}"
            for column in table.columns
            if found.get(column.name) != column.kind.source_type
        ]
        if problems:
            raise SchemaDriftError(
                f"{table.source}: {'; '.join(problems)}. Change the view (a cast is enough for a type), or "
                "the table's specification and raw table. Nothing was loaded."
            )
        return [name for name in found if name not in table.column_names]

    def profile(self, table: Table) -> Profile:
        """Count, check and hash the table's rows.

        Raises:
            UnfitRowsError: rows hold values that the warehouse cannot.
        """
        unfit = ", ".join(f"count(*) FILTER (WHERE {column.unfit})" for column in table.columns)
        rows, checksum, *counts = self._one_row(
            f"SELECT count(*), {source_checksum(table)}, {unfit} FROM {table.source}"  # noqa: S608
        )
        problems = [
            f"{count} in {column.name}" for column, count in zip(table.columns, counts, strict=True) if count
        ]
        if problems:
            raise UnfitRowsError(
                f"{table.source} has values that raw.{table.name} cannot hold (NULL where a value is "
                "required, a time outside 1900 to 2299, an endless number, a nested array or one with NULL): "
                f"{'; '.join(problems)}. Nothing was loaded."
            )
        return Profile(rows=rows, distinct_keys=self._distinct_keys(table), checksum=int(checksum))

    def _distinct_keys(self, table: Table) -> int:
        # The planner guesses few groups for a compound key, and hashing then spills for minutes where a sort
        # takes seconds (2 M keys: 0.5 s sorted, none in 9 min hashed).
        self._execute("SET LOCAL enable_hashagg = off")
        key = ", ".join(table.key)
        query = f"SELECT count(*) FROM (SELECT DISTINCT {key} FROM {table.source}) AS keys"  # noqa: S608
        (count,) = self._one_row(query)
        self._execute("SET LOCAL enable_hashagg = on")
        return int(count)

    def copy_rows(self, table: Table, sink: BinaryIO) -> None:
        r"""Write the table's rows to `sink` as CSV; NULL is a bare \N.

        CSV, because only there ClickHouse undoes the quoting before it reads an array; in the tab-separated
        format, which is no faster to make, the two escapings get into each other's way.
        """
        columns = ", ".join(column.transport for column in table.columns)
        query = f"COPY (SELECT {columns} FROM {table.source}) TO STDOUT (FORMAT csv, NULL '\\N')"  # noqa: S608
        with self._errors(), self._connection.cursor() as cursor:
            cursor.copy_expert(query, sink)

    def cancel(self) -> None:
        """End the statement that another thread runs on this snapshot."""
        with self._errors():
            self._connection.cancel()

    def _rows(self, query: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with self._errors(), self._connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return cursor.fetchall()

    def _one_row(self, query: str) -> tuple[Any, ...]:
        return self._rows(query)[0]

    def _execute(self, statement: str) -> None:
        with self._errors(), self._connection.cursor() as cursor:
            cursor.execute(statement)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg2.Error as error:
            # Without its cause: the original's text may print values of a row.
            raise _translated(error, self._address) from None


@contextmanager
def snapshot(settings: SourceSettings) -> Iterator[Snapshot]:
    """Open one read-only transaction whose statements all see the same moment.

    Raises:
        SourceUnavailableError: Postgres cannot be reached.
        SourceError: it refused the role.
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
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        yield Snapshot(connection, settings)
    finally:
        connection.close()


def _translated(error: psycopg2.Error, address: str) -> SourceError | SourceUnavailableError:
    state = error.pgcode or ""
    if not state:
        return SourceUnavailableError(f"The connection to Postgres at {address} broke.")
    message = f"Postgres at {address} failed with {type(error).__name__} ({state})"
    if state.startswith(_SAFE_CLASSES):
        message += f": {error.diag.message_primary}"
    if state.startswith(_TRANSIENT_CLASSES):
        return SourceUnavailableError(message)
    return SourceError(message)
