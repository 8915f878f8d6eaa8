"""The source: the masked views of Postgres, read in one snapshot."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from dataflix_elt.buckets import Bucket, Buckets, source_bucket, source_key, source_row_hash
from dataflix_elt.columns import KINDS, Column
from dataflix_elt.errors import SchemaDriftError, UnfitRowsError
from dataflix_elt.postgres import Session, session
from dataflix_elt.reconciliation import Content, Profile, source_checksum
from dataflix_elt.settings import SourceSettings
from dataflix_elt.tables import CHANGED_IN, SOURCE_SCHEMA, Table


@dataclass(frozen=True, slots=True)
class Shape:
    """What a view shows beyond its table's specification.

    Attributes:
        tells_changes: it has `_changed_in`.
        more: columns that can be carried over.
        strange: names of columns of types that cannot.
    """

    tells_changes: bool
    more: tuple[Column, ...]
    strange: tuple[str, ...]


class Snapshot:
    """One transaction on the source: everything asked of it is answered from the same moment.

    Where a method takes `since`, it is about the rows that this transaction or a later one wrote: there is no
    upper bound, so a row that was written by a transaction still open the last time is among them. None: all.
    """

    def __init__(self, connection: Session) -> None:
        self.session = connection

    def shape(self, table: Table) -> Shape:
        """Check that the view has the columns the specification names, and tell what it has beyond them.

        Raises:
            SchemaDriftError: the view is missing, or a column is missing or of another type.
        """
        found: dict[str, str] = dict(
            self.session.rows(
                "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute AS a"
                " JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace"
                " WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped"
                " ORDER BY a.attnum",
                (SOURCE_SCHEMA, table.name),
            )
        )
        if not found:
            raise SchemaDriftError(f"{table.source} does not exist in {self.session.address}.")
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
        beyond = {name: kind for name, kind in found.items() if name not in table.column_names}
        return Shape(
            tells_changes=beyond.pop(CHANGED_IN.name, None) == CHANGED_IN.kind.source_type,
            more=tuple(
                Column(name, KINDS[kind], nullable=KINDS[kind].can_be_null)
                for name, kind in beyond.items()
                if kind in KINDS
            ),
            strange=tuple(name for name, kind in beyond.items() if kind not in KINDS),
        )

    def profile(self, table: Table, since: int | None = None) -> Profile:
        """Count, check and hash the table's rows, and count their keys.

        Raises:
            UnfitRowsError: rows hold values that the warehouse cannot.
        """
        content = self.content(table, since)
        keys = self._distinct_keys(table, since) if content.rows else 0
        return Profile(content.rows, keys, content.checksum)

    def profile_beside(self, table: Table, content: Content, loaded: Profile) -> Profile:
        """Return the profile of all rows, given their `content` and what became of them in the warehouse.

        Equal sums of hashes of whole rows mean that the keys are the same ones, too. So as long as everything
        is as it should be, the warehouse, which has them in order, has counted them for both sides; otherwise
        they are counted here, so that an error tells what is wrong.
        """
        if loaded == Profile(content.rows, content.rows, content.checksum):
            return loaded
        return Profile(content.rows, self._distinct_keys(table, None), content.checksum)

    def content(self, table: Table, since: int | None = None) -> Content:
        """Count, check and hash the table's rows.

        Raises:
            UnfitRowsError: rows hold values that the warehouse cannot.
        """
        unfit = ", ".join(f"count(*) FILTER (WHERE {column.unfit})" for column in table.columns)
        rows, checksum, *counts = self.session.row(
            f"SELECT count(*), {source_checksum(table)}, {unfit} FROM {_from(table, since)}"  # noqa: S608
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
        return Content(int(rows), int(checksum))

    @contextmanager
    def by_index(self) -> Iterator[None]:
        """Have a block's queries go by indexes.

        Right after a table was filled its statistics are of an empty one, and a few changed rows among
        millions would be looked for by reading all.
        """
        self.session.execute("SET LOCAL enable_seqscan = off")
        yield
        self.session.execute("SET LOCAL enable_seqscan = on")

    def _distinct_keys(self, table: Table, since: int | None) -> int:
        # The planner guesses few groups for a compound key, and hashing then spills for minutes where a sort
        # takes seconds (2 M keys: 0.5 s sorted, none in 9 min hashed).
        self.session.execute("SET LOCAL enable_hashagg = off")
        key = ", ".join(table.key)
        query = f"SELECT count(*) FROM (SELECT DISTINCT {key} FROM {_from(table, since)}) AS keys"  # noqa: S608
        (count,) = self.session.row(query)
        self.session.execute("SET LOCAL enable_hashagg = on")
        return int(count)

    def copy_rows(self, table: Table, sink: BinaryIO, since: int | None = None) -> None:
        """Write the table's rows to `sink` as CSV."""
        columns = ", ".join(column.transport for column in table.columns)
        self.session.copy(f"SELECT {columns} FROM {_from(table, since)}", sink)  # noqa: S608

    def buckets(self, table: Table, number: int) -> Buckets:
        """Sum up the rows' hashes by parts of the key space."""
        rows = self.session.rows(
            f"SELECT {source_bucket(table, number)}, count(*), sum({source_row_hash(table)})"  # noqa: S608
            f" FROM {table.source} GROUP BY 1"
        )
        return {int(bucket): (int(count), int(checksum)) for bucket, count, checksum in rows}

    def bucket(self, table: Table, number: int, bucket: int) -> Bucket:
        """Return the hash of each row of a bucket, by key as text."""
        return dict(
            self.session.rows(
                f"SELECT {source_key(table)}, {source_row_hash(table)} FROM {table.source}"  # noqa: S608
                f" WHERE {source_bucket(table, number)} = {bucket}"
            )
        )


@contextmanager
def snapshot(settings: SourceSettings, turn: str | None = None) -> Iterator[Snapshot]:
    """Open one read-only transaction whose statements all see the same moment.

    Args:
        turn: whoever else opens a snapshot with the same word waits until this one is closed.

    Raises:
        SourceUnavailableError: Postgres cannot be reached.
        BusyError: another one had the turn for too long.
    """
    with session(settings) as connection:
        if turn is not None:
            connection.take_turn(turn)
        connection.begin()
        yield Snapshot(connection)


def _from(table: Table, since: int | None) -> str:
    if since is None:
        return table.source
    return f"{table.source} WHERE {CHANGED_IN.name} >= '{since}'::xid8"
