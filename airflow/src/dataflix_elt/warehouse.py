"""The warehouse: how the tables of ClickHouse's database `raw` change, by way of those beside them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from dataflix_elt.clickhouse import literal, session
from dataflix_elt.columns import Column
from dataflix_elt.contents import Contents
from dataflix_elt.errors import SchemaDriftError, SupersededError
from dataflix_elt.settings import WarehouseSettings
from dataflix_elt.staging import SideTable
from dataflix_elt.tables import CHANGED_IN, Table

_META_COLUMNS = {
    CHANGED_IN.name: CHANGED_IN.warehouse_type,
    "_version": "UInt64",
    "_is_deleted": "UInt8",
    "_extracted_at": "DateTime64(6, 'UTC')",
    "_run_id": "LowCardinality(String)",
}

_STAMPED_COLUMNS = ("_version", "_extracted_at", "_run_id")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What every row of a load carries besides the source's columns."""

    version: int
    extracted_at: datetime
    run_id: str


class Warehouse(Contents):
    """Database `raw`. Use `warehouse` to open it."""

    def missing_columns(self, table: Table) -> list[Column | str]:
        """Return the columns the raw table lacks; the bookkeeping's by name.

        Raises:
            SchemaDriftError: it is missing, a column has another type, or one is there that the source lacks.
        """
        rows = self.session.query(
            "SELECT name, type FROM system.columns"
            " WHERE database = {database:String} AND table = {table:String}",
            database=self.session.database,
            table=table.name,
        )
        columns = {column.name: column for column in table.columns}
        expected = {name: column.warehouse_type for name, column in columns.items()} | _META_COLUMNS
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
                f"{'; '.join(problems)}. clickhouse/init creates it as the specification says; a column that "
                "has left the source is dropped by hand. Nothing was loaded."
            )
        return [columns.get(name, name) for name in expected if name not in found]

    def version(self, table: Table) -> int:
        """Return the newest version in the raw table; 0 when it is empty."""
        query = f"SELECT max(_version) FROM {self.session.path(table.name)}"  # noqa: S608
        return int(self.session.query(query)[0][0])

    def create_staging(
        self, table: Table, staging: SideTable, stamp: Stamp, missing: Iterable[Column | str] = ()
    ) -> None:
        """Create an empty twin of the raw table whose rows get the stamp by default.

        The stamp then travels once, and not with every row.

        Args:
            missing: columns that the raw table lacks, and the twin gets.
        """
        path = self.session.path(staging.name)
        self.session.command(f"CREATE TABLE {path} AS {self.session.path(table.name)}")
        added = [
            f"ADD COLUMN {column.name} {column.warehouse_type}"
            if isinstance(column, Column)
            else f"ADD COLUMN {column} {_META_COLUMNS[column]}"
            for column in missing
        ]
        if added:
            self.session.command(f"ALTER TABLE {path} {', '.join(added)}")
        self.session.command(
            f"ALTER TABLE {path}"
            f" MODIFY COLUMN _version DEFAULT {literal(stamp.version)},"
            f" MODIFY COLUMN _extracted_at DEFAULT {literal(stamp.extracted_at)},"
            f" MODIFY COLUMN _run_id DEFAULT {literal(stamp.run_id)}"
        )

    def insert(self, table: Table, staging: SideTable, chunks: Iterable[bytes]) -> None:
        """Send a staging table's rows as CSV."""
        self.session.insert(staging.name, table.column_names, chunks)

    def insert_deleted(self, table: Table, staging: SideTable, chunks: Iterable[bytes]) -> None:
        """Send keys that went away as CSV, each followed by 1; every other column gets its type's default."""
        self.session.insert(staging.name, (*table.key, "_is_deleted"), chunks)

    def publish(self, table: Table, staging: SideTable, stamp: Stamp) -> None:
        """Add a staging table's rows to the raw table, all in one step whatever their number.

        Attaching adds the parts of a partition (here: all there are) under one lock. An INSERT would show its
        blocks one after the other, and might take one for a repetition of an earlier insert and drop it.

        Raises:
            SupersededError: somebody else's load came in since this one's version was chosen.
        """
        self._require_newest(table, stamp)
        self.session.command(
            f"ALTER TABLE {self.session.path(table.name)}"
            f" ATTACH PARTITION ID 'all' FROM {self.session.path(staging.name)}"
        )

    def swap_in(self, table: Table, staging: SideTable, stamp: Stamp) -> None:
        """Exchange the raw table with the staging table in one step; the old rows are then in the latter.

        Raises:
            SupersededError: somebody else's load came in since this one's version was chosen.
        """
        self.session.command(
            f"ALTER TABLE {self.session.path(staging.name)}"
            + ",".join(f" MODIFY COLUMN {name} REMOVE DEFAULT" for name in _STAMPED_COLUMNS)
        )
        self._require_newest(table, stamp)
        self.session.command(
            f"EXCHANGE TABLES {self.session.path(staging.name)} AND {self.session.path(table.name)}"
        )

    def retire(self, staging: SideTable, retired: SideTable) -> None:
        """Put the old rows aside, to be dropped when nobody can be reading them any more."""
        self.session.command(
            f"RENAME TABLE {self.session.path(staging.name)} TO {self.session.path(retired.name)}"
        )

    def drop(self, side_table: SideTable) -> None:
        """Drop a table beside a raw one, unless it is gone already."""
        self.session.command(f"DROP TABLE IF EXISTS {self.session.path(side_table.name)} SYNC")

    def shut_out_the_dead(self, table: Table, now: datetime) -> list[SideTable]:
        """Put the staging tables of loads that were killed aside; returns them under their new names.

        Only for whoever has the table's turn: no other load lives then, and a statement that a dead one had
        sent (EXCHANGE, ATTACH) no longer finds its table when it is carried out; it would bring old rows back
        after newer ones had come. The tables are kept for a while: somebody may be reading one that was
        swapped out.
        """
        aside = []
        for side in self._side_tables(table):
            if side.role == "staging":
                retired = replace(side, role="retired", since=now)
                self.retire(side, retired)
                aside.append(retired)
        return aside

    def drop_leftovers(self, table: Table, now: datetime) -> list[str]:
        """Drop what earlier loads of the table left and nobody can use any more; returns the names."""
        leftovers = [side for side in self._side_tables(table) if side.is_leftover(now)]
        for leftover in leftovers:
            self.drop(leftover)
        return [leftover.name for leftover in leftovers]

    def _side_tables(self, table: Table) -> list[SideTable]:
        rows = self.session.query(
            "SELECT name FROM system.tables"
            " WHERE database = {database:String} AND startsWith(name, {prefix:String})",
            database=self.session.database,
            prefix=table.name + "__",
        )
        side_tables = [SideTable.parse(name) for (name,) in rows]
        return [side for side in side_tables if side and side.table == table.name]

    def _require_newest(self, table: Table, stamp: Stamp) -> None:
        if self.version(table) >= stamp.version:
            raise SupersededError(
                f"Another load of {self.session.path(table.name)} finished while this one ran; its rows stay."
            )


@contextmanager
def warehouse(settings: WarehouseSettings) -> Iterator[Warehouse]:
    """Connect to ClickHouse.

    Raises:
        WarehouseUnavailableError: it cannot be reached.
        WarehouseError: it refused the user.
    """
    with session(settings) as connection:
        yield Warehouse(connection)
