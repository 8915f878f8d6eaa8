"""One transaction on the source, from which everything about the masked views is read."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_none

from dataflix_elt.clients.postgres import Session, session
from dataflix_elt.columns import KINDS, Column
from dataflix_elt.errors import InvalidRowsError, LockTimeoutError, SchemaDriftError
from dataflix_elt.fingerprint import Fingerprint
from dataflix_elt.settings import SourceSettings
from dataflix_elt.source import sql
from dataflix_elt.source.capture import DELETIONS, TRACKED, Position, Tracking, deleted_keys
from dataflix_elt.source.origin import SOURCE, SourceIdentity
from dataflix_elt.tables import LAST_XID, SOURCE_SCHEMA, Table

# Long compared with the milliseconds that a free lock takes. Whoever waits for the second session's locks
# waits that long for us.
_LOCK_TIMEOUT = "2s"
# As long as the wait for another load.
_RETRY_LOCKS_S = 1200.0


@dataclass(frozen=True, slots=True)
class ViewColumns:
    """What a view has beyond its table's definition.

    Attributes:
        has_last_xid: it says which transaction wrote a row.
        extra: further columns that can be loaded.
        unsupported: names of further columns whose types cannot be loaded.
    """

    has_last_xid: bool
    extra: tuple[Column, ...]
    unsupported: tuple[str, ...]


class Snapshot:
    """The source at one moment: all answers are as of when the snapshot was taken.

    Where a method takes `since`, it is about rows that this transaction or a later one wrote. There is no
    upper bound, so a row of a transaction that was still open at the last load is among them. None stands for
    all rows.
    """

    def __init__(self, connection: Session) -> None:
        self._session = connection

    def view_columns(self, table: Table) -> ViewColumns:
        """Check that the view has the columns of the definition, and return what it has beyond them.

        Raises:
            SchemaDriftError: the view is missing, or a column is missing or of another type.
        """
        found: dict[str, str] = dict(
            self._session.rows(
                "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute AS a"
                " JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace"
                " WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped"
                " ORDER BY a.attnum",
                (SOURCE_SCHEMA, table.name),
            )
        )
        if not found:
            raise SchemaDriftError(f"{table.source} does not exist in {self._session.address}.")
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
                "the table's definition and raw table. Nothing was loaded."
            )
        beyond = {name: kind for name, kind in found.items() if name not in table.column_names}
        return ViewColumns(
            has_last_xid=beyond.pop(LAST_XID.name, None) == LAST_XID.kind.source_type,
            extra=tuple(
                Column(name, KINDS[kind], nullable=KINDS[kind].can_be_null)
                for name, kind in beyond.items()
                if kind in KINDS
            ),
            unsupported=tuple(name for name, kind in beyond.items() if kind not in KINDS),
        )

    def position(self) -> Position:
        """Return where the snapshot stands in the cluster's history."""
        # A WAL file's name begins with the timeline. Right after a promotion the control file has the old
        # one.
        timeline = "('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint"
        identifier, current_timeline, xmin, oid, standby = self._session.row(
            "SELECT (SELECT system_identifier::text FROM pg_control_system()),"  # noqa: S608
            f" CASE WHEN pg_is_in_recovery() THEN 0 ELSE {timeline} END,"
            " pg_snapshot_xmin(pg_current_snapshot())::text,"
            " (SELECT oid::bigint FROM pg_database WHERE datname = current_database()), pg_is_in_recovery()"
        )
        return Position(
            identifier, int(current_timeline), int(xmin) >> 32, int(oid), int(xmin), bool(standby)
        )

    def source_identity(self) -> SourceIdentity:
        """Return which database brought the rows.

        Raises:
            SchemaDriftError: an older version made the views, or several databases brought rows.
        """
        if self._session.row("SELECT to_regclass(%s) IS NULL", (SOURCE,))[0]:
            raise SchemaDriftError(
                f"{SOURCE} does not exist in {self._session.address}: an older version made the views. Run "
                "postgres/init/12_source.sql, as ./run.sh does."
            )
        rows = self._session.rows(f"SELECT name, system_identifier, database_oid FROM {SOURCE}")  # noqa: S608
        identities = [SourceIdentity(name, system, int(oid)) for name, system, oid in rows]
        if len(identities) > 1:
            raise SchemaDriftError(
                f"Rows of several databases are in {self._session.address}: "
                f"{', '.join(map(str, identities))}. ./run.sh pipeline --accept-source makes them one."
            )
        return identities[0]

    def tracking(self, table: Table) -> Tracking | None:
        """Return how a table's changes are captured; None if they are not.

        Raises:
            SchemaDriftError: the views of the change capture are those of an older version.
        """
        is_captured, is_current = self._session.row(
            "SELECT to_regclass(%s) IS NOT NULL, EXISTS (SELECT FROM pg_attribute"
            " WHERE attrelid = to_regclass(%s) AND attname = 'last_xid' AND NOT attisdropped)",
            (TRACKED, DELETIONS),
        )
        if not is_captured:
            return None
        if not is_current:
            raise SchemaDriftError(
                f"{DELETIONS} in {self._session.address} has no column last_xid: an older version made it. "
                "Run postgres/init/02_change_capture.sql again; no row needs to be loaded again."
            )
        rows = self._session.rows(
            "SELECT tracking_id::text, complete_from::text, ledger_rows, ledger_checksum"  # noqa: S608
            f" FROM {TRACKED} WHERE table_name = %s",
            (table.name,),
        )
        if not rows:
            return None
        ((identifier, complete_from, count, checksum),) = rows
        return Tracking(identifier, int(complete_from), Fingerprint(int(count), int(checksum)))

    def fingerprint(self, table: Table, since: int | None = None) -> Fingerprint:
        """Check the rows, and return their content fingerprint.

        Raises:
            InvalidRowsError: rows hold values that the warehouse cannot hold.
        """
        invalid = ", ".join(f"count(*) FILTER (WHERE {column.invalid})" for column in table.columns)
        rows, checksum, *counts = self._session.row(
            f"SELECT count(*), {sql.checksum(table)}, {invalid} FROM {_rows(table, since)}"  # noqa: S608
        )
        problems = [
            f"{count} in {column.name}" for column, count in zip(table.columns, counts, strict=True) if count
        ]
        if problems:
            raise InvalidRowsError(
                f"{table.source} has values that raw.{table.name} cannot hold (NULL where a value is "
                "required, a time outside 1900-2299, an infinite number, a nested array or one with NULL): "
                f"{'; '.join(problems)}. Nothing was loaded."
            )
        return Fingerprint(int(rows), int(checksum))

    def distinct_keys(self, table: Table, since: int | None = None) -> int:
        """Count the rows' different keys."""
        # The planner expects few groups of a compound key. Hashing then spills for minutes where a sort takes
        # seconds (2 M keys: 0.5 s sorted, not done after 9 min hashed).
        self._session.execute("SET LOCAL enable_hashagg = off")
        key = ", ".join(table.key)
        query = f"SELECT count(*) FROM (SELECT DISTINCT {key} FROM {_rows(table, since)}) AS keys"  # noqa: S608
        (count,) = self._session.row(query)
        self._session.execute("SET LOCAL enable_hashagg = on")
        return int(count)

    def copy_rows(self, table: Table, sink: BinaryIO, since: int | None = None) -> None:
        """Write the rows to `sink` as CSV."""
        columns = ", ".join(column.transport for column in table.columns)
        self._session.copy(f"SELECT {columns} FROM {_rows(table, since)}", sink)  # noqa: S608

    def was_truncated(self, table: Table, since: int) -> bool:
        """Return whether a TRUNCATE removed all rows."""
        query = (
            f"SELECT EXISTS (SELECT FROM {DELETIONS}"  # noqa: S608
            f" WHERE table_name = %s AND last_xid >= '{since}'::xid8 AND row_key IS NULL)"
        )
        return bool(self._session.row(query, (table.name,))[0])

    def count_deleted(self, table: Table, since: int) -> int:
        """Count the keys that were deleted and did not come back."""
        query = f"SELECT count(*) FROM ({deleted_keys(table, since)}) AS deleted"  # noqa: S608
        return int(self._session.row(query)[0])

    def copy_deleted(self, table: Table, sink: BinaryIO, since: int) -> None:
        """Write these keys to `sink` as CSV, each followed by 1."""
        query = f"SELECT deleted.*, 1 FROM ({deleted_keys(table, since)}) AS deleted"  # noqa: S608
        self._session.copy(query, sink)

    def bucket_fingerprints(self, table: Table, buckets: int) -> dict[int, Fingerprint]:
        """Return the content fingerprint of each bucket of keys that has rows."""
        rows = self._session.rows(
            f"SELECT {sql.bucket(table, buckets)}, count(*), {sql.checksum(table)}"  # noqa: S608
            f" FROM {table.source} GROUP BY 1"
        )
        return {int(bucket): Fingerprint(int(count), int(checksum)) for bucket, count, checksum in rows}

    def row_hashes(self, table: Table, buckets: int, bucket: int) -> dict[str, int]:
        """Return the hash of each row of a bucket, by key as text."""
        return dict(
            self._session.rows(
                f"SELECT {sql.key_text(table)}, {sql.row_hash(table)} FROM {table.source}"  # noqa: S608
                f" WHERE {sql.bucket(table, buckets)} = {bucket}"
            )
        )

    @contextmanager
    def prefer_indexes(self) -> Iterator[None]:
        """Make the planner use indexes inside the block.

        Right after a bulk load its statistics are those of an empty table, and it would read millions of rows
        to find a few changed ones.
        """
        with self._session.prefer_indexes():
            yield

    def cancel(self) -> None:
        """End the statement that another thread runs on this snapshot."""
        self._session.cancel()


@contextmanager
def snapshot(settings: SourceSettings, table: Table | None = None) -> Iterator[Snapshot]:
    """Open a read-only transaction whose statements all see the same moment.

    Given a table, no other load of it runs meanwhile, and nothing rewrites it or replaces its view.

    Args:
        settings: where the source is.
        table: what is read.

    Raises:
        SourceUnavailableError: Postgres cannot be reached.
        BusyError: another load of the table, or a statement that rewrites it, takes too long.
    """
    with session(settings) as connection:
        if table is None:
            connection.begin()
        else:
            connection.advisory_lock(table.name)
            retrying = Retrying(
                retry=retry_if_exception_type(LockTimeoutError),
                stop=stop_after_delay(_RETRY_LOCKS_S),
                wait=wait_none(),
                reraise=True,
            )
            retrying(_begin_with_locks, settings, connection, table)
        yield Snapshot(connection)


def _begin_with_locks(settings: SourceSettings, connection: Session, table: Table) -> None:
    """Begin the transaction with locks that are older than its snapshot.

    TRUNCATE and ALTER TABLE ... TYPE are not MVCC-safe: a snapshot from before they commit finds an empty
    table after. A query takes its snapshot before its locks, and LOCK TABLE needs rights on columns that
    nobody may read. So a second session holds the locks until the first one has a snapshot and locks, too.

    Raises:
        LockTimeoutError: a statement that rewrites the table waits for the second session. It gets its turn
            before the next try.
    """
    with session(settings) as guard:
        guard.begin_read_committed()
        relations = [
            name
            for name in (table.source, TRACKED, DELETIONS)
            if guard.row("SELECT to_regclass(%s) IS NOT NULL", (name,))[0]
        ]
        # A row and not none, so that a function that a view calls takes its locks, too.
        locks = [f"SELECT true FROM {relation} LIMIT 1" for relation in relations]  # noqa: S608
        with guard.prefer_indexes():
            for lock in locks:
                guard.rows(lock)
        connection.begin()
        try:
            with connection.lock_timeout(_LOCK_TIMEOUT), connection.prefer_indexes():
                for lock in locks:
                    connection.rows(lock)
        except LockTimeoutError:
            connection.rollback()
            raise


def _rows(table: Table, since: int | None) -> str:
    if since is None:
        return table.source
    return f"{table.source} WHERE {LAST_XID.name} >= '{since}'::xid8"
