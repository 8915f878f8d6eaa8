"""What the tables of ClickHouse's database `raw` hold: counts, sums of hashes, and the files they lie in."""

from dataclasses import dataclass

from dataflix_elt.buckets import Bucket, Buckets, warehouse_bucket, warehouse_key, warehouse_row_hash
from dataflix_elt.clickhouse import Session
from dataflix_elt.parts import Parts
from dataflix_elt.reconciliation import Profile, warehouse_checksum, warehouse_key_checksum
from dataflix_elt.staging import SideTable
from dataflix_elt.tables import Table

# The last of a part's name, all_FIRST_LAST_LEVEL_MUTATION, is there once a mutation has rewritten it. What
# was dropped or truncated is covered by parts without rows for a while.
_PARTS = (
    "SELECT arraySort(groupArray((min_block_number, max_block_number))),"
    " max(toUInt64OrZero(splitByChar('_', name)[5])),"
    " (SELECT toString(uuid) FROM system.tables"
    " WHERE database = {database:String} AND name = {table:String})"
    " FROM system.parts WHERE database = {database:String} AND table = {table:String} AND active"
    " AND rows > 0"
)


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a raw table holds at present.

    Attributes:
        rows: number of rows that are not deleted.
        checksum: sum of the hashes of key and `_changed_in`, as in the source's ledger.
        parts: the files it consists of; as long as they still hold what they held, so does the table.
    """

    rows: int
    checksum: int
    parts: Parts


@dataclass(frozen=True, slots=True)
class Sums:
    """Number of rows, and sum of the hashes of their key and `_changed_in`."""

    rows: int
    checksum: int


class Contents:
    """What can be asked of database `raw`; nothing here changes it."""

    def __init__(self, connection: Session) -> None:
        self.session = connection

    def profile(self, table: Table, staging: SideTable | None = None) -> Profile:
        """Count and hash a staging table's rows that are no deletions, or the raw table's present rows."""
        path = self.session.path(staging.name) if staging else self.session.path(table.name) + " FINAL"
        profile, _ = self._profile_and_sums(table, f"{path} WHERE _is_deleted = 0")
        return profile

    def count_deleted(self, staging: SideTable) -> int:
        """Count the deletions in a staging table."""
        path = self.session.path(staging.name)
        return int(self.session.query(f"SELECT count() FROM {path} WHERE _is_deleted = 1")[0][0])  # noqa: S608

    def parts(self, table: Table) -> Parts:
        """Return the files that a raw table consists of."""
        return self._parts(table.name)

    def holdings(self, table: Table) -> Holdings:
        """Add up what a raw table holds; a merge in between changes its files and nothing else."""
        parts = self.parts(table)
        sums = self._sums(table, f"{self.session.path(table.name)} FINAL WHERE _is_deleted = 0")
        return Holdings(sums.rows, sums.checksum, parts)

    def stock(self, table: Table, staging: SideTable) -> tuple[Profile, Holdings]:
        """Profile a staging table of a whole load, and tell what it will hold as the raw table.

        In one pass: its rows are read once for both sums. Only where no key repeats are they what a reader
        will see.
        """
        parts = self._parts(staging.name)
        profile, sums = self._profile_and_sums(
            table, f"{self.session.path(staging.name)} WHERE _is_deleted = 0", warehouse_key_checksum(table)
        )
        return profile, Holdings(profile.rows, sums, parts)

    def sums_of_staged_keys(self, table: Table, staging: SideTable) -> Sums:
        """Add up a raw table's present rows of the keys in a staging table; others are not read.

        The index leaves out what it can. The rest is sifted by one hash per key before versions are compared
        (all of a key pass or none): a set of numbers is looked up three times as fast as one of tuples.
        """
        keys, path = ", ".join(table.key), self.session.path(staging.name)
        hashed = f"cityHash64({keys}) IN (SELECT cityHash64({keys}) FROM {path})"  # noqa: S608
        equal = f"({keys}) IN (SELECT {keys} FROM {path})"  # noqa: S608
        of = f"{self.session.path(table.name)} FINAL PREWHERE {hashed} WHERE _is_deleted = 0 AND {equal}"
        return self._sums(table, of)

    def sums_of_staged(self, table: Table, staging: SideTable) -> Sums:
        """Add up a staging table's rows that are no deletions."""
        return self._sums(table, f"{self.session.path(staging.name)} WHERE _is_deleted = 0")

    def buckets(self, table: Table, number: int) -> Buckets:
        """Sum up the rows' hashes by parts of the key space."""
        rows = self.session.query(
            f"SELECT {warehouse_bucket(table, number)} AS bucket, count(),"  # noqa: S608
            f" sum(toInt128({warehouse_row_hash(table)}))"
            f" FROM {self.session.path(table.name)} FINAL WHERE _is_deleted = 0 GROUP BY bucket"
        )
        return {int(bucket): (int(count), int(checksum)) for bucket, count, checksum in rows}

    def bucket(self, table: Table, number: int, bucket: int) -> Bucket:
        """Return the hash of each row of a bucket, by key as text."""
        return dict(
            self.session.query(
                f"SELECT {warehouse_key(table)}, {warehouse_row_hash(table)}"  # noqa: S608
                f" FROM {self.session.path(table.name)} FINAL"
                f" WHERE _is_deleted = 0 AND {warehouse_bucket(table, number)} = {bucket}"
            )
        )

    def _parts(self, name: str) -> Parts:
        ((blocks, mutation, uuid),) = self.session.query(_PARTS, database=self.session.database, table=name)
        return Parts(uuid, int(mutation), tuple((int(first), int(last)) for first, last in blocks))

    def _profile_and_sums(self, table: Table, rows_of: str, more: str = "0") -> tuple[Profile, int]:
        """Profile rows, and add up `more` over them."""
        key = ", ".join(table.key)
        # In the order of the sort key, grouping needs memory for one key at a time.
        keys_of = f"SELECT count() FROM (SELECT {key} FROM {rows_of} GROUP BY {key})"  # noqa: S608
        ((rows, checksum, keys, also),) = self.session.query(
            f"SELECT count(), {warehouse_checksum(table)}, ({keys_of}), {more} FROM {rows_of}"  # noqa: S608
            " SETTINGS optimize_aggregation_in_order = 1"
        )
        return Profile(rows=int(rows), distinct_keys=int(keys), checksum=int(checksum)), int(also)

    def _sums(self, table: Table, rows_of: str) -> Sums:
        query = f"SELECT count(), {warehouse_key_checksum(table)} FROM {rows_of}"  # noqa: S608
        ((rows, checksum),) = self.session.query(query)
        return Sums(int(rows), int(checksum))
