"""Database `raw`: what its tables hold, and how staging tables change them."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from dataflix_elt.clients.clickhouse import Session, literal, session
from dataflix_elt.errors import SchemaDriftError, SupersededError
from dataflix_elt.fingerprint import Fingerprint
from dataflix_elt.settings import WarehouseSettings
from dataflix_elt.tables import LoadMetadata, Table
from dataflix_elt.warehouse import sql
from dataflix_elt.warehouse.parts import Parts, TableState
from dataflix_elt.warehouse.staging_table import StagingTable

# The last part of a part's name, all_FIRST_LAST_LEVEL_MUTATION, exists once a mutation has rewritten the
# part. After a drop or truncate, empty parts cover the old ones for a while.
_PARTS = (
    "SELECT arraySort(groupArray((min_block_number, max_block_number))),"
    " max(toUInt64OrZero(splitByChar('_', name)[5])),"
    " (SELECT toString(uuid) FROM system.tables"
    " WHERE database = {database:String} AND name = {table:String})"
    " FROM system.parts WHERE database = {database:String} AND table = {table:String} AND active"
    " AND rows > 0"
)

_DEFAULTED_COLUMNS = ("_version", "_extracted_at", "_run_id")


class Warehouse:
    """Database `raw`. Use `warehouse` to open it.

    Where a method takes `staging`, it is about the rows of that staging table, without its deletions. Without
    one it is about the rows that a reader of the raw table sees.
    """

    def __init__(self, connection: Session) -> None:
        self.session = connection

    # What the tables hold.

    def missing_columns(self, table: Table) -> dict[str, str]:
        """Return the columns that the raw table lacks, with their types.

        Raises:
            SchemaDriftError: the table is missing, or has a column of another type or one that the source
                lacks.
        """
        rows = self.session.query(
            "SELECT name, type FROM system.columns"
            " WHERE database = {database:String} AND table = {table:String}",
            database=self.session.database,
            table=table.name,
        )
        expected = table.raw_columns
        found: dict[str, str] = dict(rows)
        problems = [
            f"{name} is {found[name]}, expected {expected.get(name, 'no such column')}"
            for name in found
            if found[name] != expected.get(name)
        ]
        if not found:
            problems = ["there is no such table"]
        if problems:
            raise SchemaDriftError(
                f"{self.session.path(table.name)} in ClickHouse at {self.session.address}: "
                f"{'; '.join(problems)}. clickhouse/init creates the table as defined. If a column has left "
                "the source, drop it by hand. Nothing was loaded."
            )
        return {name: type_ for name, type_ in expected.items() if name not in found}

    def newest_version(self, table: Table) -> int:
        """Return the newest version in the raw table; 0 if it is empty."""
        query = f"SELECT max(_version) FROM {self.session.path(table.name)}"  # noqa: S608
        return int(self.session.query(query)[0][0])

    def has_rows(self, table: Table) -> bool:
        """Return whether a reader of the raw table sees a row."""
        query = f"SELECT 1 FROM {self._rows(table)} LIMIT 1"  # noqa: S608
        return bool(self.session.query(query))

    def fingerprint(self, table: Table, staging: StagingTable | None = None) -> Fingerprint:
        """Return the content fingerprint."""
        return self._fingerprint(sql.checksum(table), self._rows(table, staging))

    def key_fingerprint(self, table: Table, staging: StagingTable | None = None) -> Fingerprint:
        """Return the key fingerprint."""
        return self._fingerprint(sql.key_checksum(table), self._rows(table, staging))

    def both_fingerprints(self, table: Table, staging: StagingTable) -> tuple[Fingerprint, Fingerprint]:
        """Return the content fingerprint and the key fingerprint, in one pass over the rows."""
        ((rows, content, keys),) = self.session.query(
            f"SELECT count(), {sql.checksum(table)}, {sql.key_checksum(table)}"  # noqa: S608
            f" FROM {self._rows(table, staging)}"
        )
        return Fingerprint(int(rows), int(content)), Fingerprint(int(rows), int(keys))

    def key_fingerprint_of_staged_keys(self, table: Table, staging: StagingTable) -> Fingerprint:
        """Return the key fingerprint of the raw table's rows whose keys are in a staging table.

        The index skips what it can. One hash per key sifts the rest before versions are compared, and either
        all rows of a key pass or none. A lookup in a set of numbers is three times as fast as in one of
        tuples.
        """
        keys, path = ", ".join(table.key), self.session.path(staging.name)
        hashed = f"cityHash64({keys}) IN (SELECT cityHash64({keys}) FROM {path})"  # noqa: S608
        equal = f"({keys}) IN (SELECT {keys} FROM {path})"  # noqa: S608
        rows = f"{self.session.path(table.name)} FINAL PREWHERE {hashed} WHERE _is_deleted = 0 AND {equal}"
        return self._fingerprint(sql.key_checksum(table), rows)

    def distinct_keys(self, table: Table, staging: StagingTable | None = None) -> int:
        """Count the different keys."""
        key = ", ".join(table.key)
        # In the order of the sort key, GROUP BY needs memory for one key at a time.
        ((keys,),) = self.session.query(
            f"SELECT count() FROM (SELECT {key} FROM {self._rows(table, staging)} GROUP BY {key})"  # noqa: S608
            " SETTINGS optimize_aggregation_in_order = 1"
        )
        return int(keys)

    def count_deleted(self, staging: StagingTable) -> int:
        """Count the deletions in a staging table."""
        path = self.session.path(staging.name)
        return int(self.session.query(f"SELECT count() FROM {path} WHERE _is_deleted = 1")[0][0])  # noqa: S608

    def parts(self, table: Table | StagingTable) -> Parts:
        """Return the parts that a table consists of."""
        ((blocks, mutation, uuid),) = self.session.query(
            _PARTS, database=self.session.database, table=table.name
        )
        return Parts(uuid, int(mutation), tuple((int(first), int(last)) for first, last in blocks))

    def state(self, table: Table) -> TableState:
        """Return what a raw table holds. A merge meanwhile changes its parts and nothing else."""
        parts = self.parts(table)
        return TableState(self.key_fingerprint(table), parts)

    def bucket_fingerprints(self, table: Table, buckets: int) -> dict[int, Fingerprint]:
        """Return the content fingerprint of each bucket of keys that has rows."""
        rows = self.session.query(
            f"SELECT {sql.bucket(table, buckets)} AS bucket, count(), {sql.checksum(table)}"  # noqa: S608
            f" FROM {self._rows(table)} GROUP BY bucket"
        )
        return {int(bucket): Fingerprint(int(count), int(checksum)) for bucket, count, checksum in rows}

    def row_hashes(self, table: Table, buckets: int, bucket: int) -> dict[str, int]:
        """Return the hash of each row of a bucket, by key as text."""
        return dict(
            self.session.query(
                f"SELECT {sql.key_text(table)}, {sql.row_hash(table)} FROM {self._rows(table)}"  # noqa: S608
                f" AND {sql.bucket(table, buckets)} = {bucket}"
            )
        )

    # How they change.

    def create_staging(
        self, table: Table, staging: StagingTable, metadata: LoadMetadata, missing: Mapping[str, str]
    ) -> None:
        """Create an empty copy of the raw table whose rows get the load's metadata by default.

        So the metadata is sent once, and not with every row.

        Args:
            table: the raw table.
            staging: the table to create.
            metadata: of the load.
            missing: columns to add that the raw table lacks, with their types.
        """
        path = self.session.path(staging.name)
        self.session.command(f"CREATE TABLE {path} AS {self.session.path(table.name)}")
        if missing:
            added = [f"ADD COLUMN {name} {type_}" for name, type_ in missing.items()]
            self.session.command(f"ALTER TABLE {path} {', '.join(added)}")
        self.session.command(
            f"ALTER TABLE {path}"
            f" MODIFY COLUMN _version DEFAULT {literal(metadata.version)},"
            f" MODIFY COLUMN _extracted_at DEFAULT {literal(metadata.extracted_at)},"
            f" MODIFY COLUMN _run_id DEFAULT {literal(metadata.run_id)}"
        )

    def insert(self, table: Table, staging: StagingTable, chunks: Iterable[bytes]) -> None:
        """Send rows as CSV to a staging table."""
        self.session.insert(staging.name, table.column_names, chunks)

    def insert_deleted(self, table: Table, staging: StagingTable, chunks: Iterable[bytes]) -> None:
        """Send deleted keys as CSV, each followed by 1; every other column gets its type's default."""
        self.session.insert(staging.name, (*table.key, "_is_deleted"), chunks)

    def publish(self, table: Table, staging: StagingTable, metadata: LoadMetadata) -> None:
        """Add a staging table's rows to the raw table, all in one step however many they are.

        ATTACH adds the parts of a partition (here: all parts) under one lock. An INSERT would show its blocks
        one after the other, and could drop a block that equals one of an earlier insert.

        Raises:
            SupersededError: another load has finished since this one got its version.
        """
        self._require_newest(table, metadata)
        self.session.command(
            f"ALTER TABLE {self.session.path(table.name)}"
            f" ATTACH PARTITION ID 'all' FROM {self.session.path(staging.name)}"
        )

    def swap_in(self, table: Table, staging: StagingTable, metadata: LoadMetadata) -> None:
        """Exchange the raw table and the staging table in one step; the latter then has the old rows.

        Raises:
            SupersededError: another load has finished since this one got its version.
        """
        self.session.command(
            f"ALTER TABLE {self.session.path(staging.name)}"
            + ",".join(f" MODIFY COLUMN {name} REMOVE DEFAULT" for name in _DEFAULTED_COLUMNS)
        )
        self._require_newest(table, metadata)
        self.session.command(
            f"EXCHANGE TABLES {self.session.path(staging.name)} AND {self.session.path(table.name)}"
        )

    def retire(self, staging: StagingTable, since: datetime) -> StagingTable:
        """Put a staging table aside, to be dropped when no query can read it any more; returns it."""
        retired = replace(staging, role="retired", since=since)
        self.session.command(
            f"RENAME TABLE {self.session.path(staging.name)} TO {self.session.path(retired.name)}"
        )
        return retired

    def drop(self, staging: StagingTable) -> None:
        """Drop a staging table, if it exists."""
        self.session.command(f"DROP TABLE IF EXISTS {self.session.path(staging.name)} SYNC")

    def fence_stale_loads(self, table: Table, now: datetime) -> list[StagingTable]:
        """Retire the staging tables of loads that were killed; returns the retired tables.

        Only the holder of the table's advisory lock may call this, because then no other load is alive. A
        statement that a killed load has sent (EXCHANGE, ATTACH) and that the server carries out late no
        longer finds its table; otherwise it would bring old rows back. The tables stay for a while, because a
        query may read one that was swapped out.
        """
        return [
            self.retire(staging, now) for staging in self._staging_tables(table) if staging.role == "staging"
        ]

    def drop_expired(self, table: Table, now: datetime) -> list[str]:
        """Drop what earlier loads retired and no query can read any more; returns the names."""
        expired = [staging for staging in self._staging_tables(table) if staging.is_expired(now)]
        for staging in expired:
            self.drop(staging)
        return [staging.name for staging in expired]

    def _staging_tables(self, table: Table) -> list[StagingTable]:
        rows = self.session.query(
            "SELECT name FROM system.tables"
            " WHERE database = {database:String} AND startsWith(name, {prefix:String})",
            database=self.session.database,
            prefix=table.name + "__",
        )
        found = [StagingTable.parse(name) for (name,) in rows]
        return [staging for staging in found if staging and staging.table == table.name]

    def _require_newest(self, table: Table, metadata: LoadMetadata) -> None:
        if self.newest_version(table) >= metadata.version:
            raise SupersededError(
                f"Another load of {self.session.path(table.name)} finished while this one ran; its rows stay."
            )

    def _rows(self, table: Table, staging: StagingTable | None = None) -> str:
        path = self.session.path(staging.name) if staging else self.session.path(table.name) + " FINAL"
        return f"{path} WHERE _is_deleted = 0"

    def _fingerprint(self, checksum: str, rows: str) -> Fingerprint:
        ((count, total),) = self.session.query(f"SELECT count(), {checksum} FROM {rows}")  # noqa: S608
        return Fingerprint(int(count), int(total))


@contextmanager
def warehouse(settings: WarehouseSettings) -> Iterator[Warehouse]:
    """Connect to ClickHouse.

    Raises:
        WarehouseUnavailableError: it cannot be reached.
        WarehouseError: it refused the user.
    """
    with session(settings) as connection:
        yield Warehouse(connection)
