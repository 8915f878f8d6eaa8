"""The load's own books in ClickHouse: versions given out, cursors, and the audit of every comparison."""

from dataclasses import dataclass
from datetime import UTC, datetime

from dataflix_elt.capture import Position, Tracking
from dataflix_elt.clickhouse import Session, literal
from dataflix_elt.contents import Holdings
from dataflix_elt.parts import Parts
from dataflix_elt.reconciliation import Profile
from dataflix_elt.tables import Table
from dataflix_elt.warehouse import Stamp


@dataclass(frozen=True, slots=True)
class Cursor:
    """Up to where a table has been carried over, and what both sides held at that moment.

    Attributes:
        position: of the source.
        tracking_id: of the source's change capture.
        ledger_rows: the source's ledger, rows.
        ledger_checksum: the source's ledger, hashes.
        holdings: of the warehouse.
        compared_at: when all columns of all rows were compared the last time.
    """

    position: Position
    tracking_id: str
    ledger_rows: int
    ledger_checksum: int
    holdings: Holdings
    compared_at: datetime

    def expected(self, now: Tracking) -> tuple[int, int]:
        """Return the rows and the checksum that the warehouse must have when the source's ledger says so."""
        return (
            self.holdings.rows + now.rows - self.ledger_rows,
            self.holdings.checksum + now.checksum - self.ledger_checksum,
        )


class Books:
    """Tables `load_versions`, `load_cursors` and `load_audit`."""

    def __init__(self, connection: Session) -> None:
        self._session = connection

    def next_version(self, table: Table, newest: int, run_id: str) -> int:
        """Give out a version above all that were given out and all in the raw table.

        It is written down before it is used: what a dead load still sends comes with an older one.
        """
        path = self._session.path("load_versions")
        ((given,),) = self._session.query(
            f"SELECT max(version) FROM {path} WHERE table_name = {{table:String}}",  # noqa: S608
            table=table.name,
        )
        version = max(int(given), newest) + 1
        self._insert(
            "load_versions",
            table_name=table.name,
            version=version,
            run_id=run_id,
            given_at=datetime.now(UTC),
        )
        return version

    def cursor(self, table: Table) -> Cursor | None:
        """Return where the table's last load ended; None when there was none that could be gone on from."""
        rows = self._session.query(
            "SELECT system_identifier, timeline, epoch, database_oid, xmin, tracking_id, ledger_rows,"  # noqa: S608
            f" ledger_checksum, rows, checksum, parts, compared_at FROM {self._session.path('load_cursors')}"
            " WHERE table_name = {table:String} ORDER BY version DESC LIMIT 1",
            table=table.name,
        )
        if not rows:
            return None
        *place, tracking_id, ledger_rows, ledger_checksum, count, checksum, parts, compared_at = rows[0]
        identifier, timeline, epoch, database_oid, xmin = place
        return Cursor(
            Position(identifier, timeline, epoch, database_oid, xmin, is_standby=False),
            tracking_id,
            ledger_rows,
            int(ledger_checksum),
            Holdings(count, int(checksum), Parts.parse(parts)),
            compared_at.replace(tzinfo=UTC),
        )

    def record_cursor(self, table: Table, stamp: Stamp, cursor: Cursor) -> None:
        """Move the watermark: the last thing a load does."""
        at = cursor.position
        self._insert(
            "load_cursors",
            table_name=table.name,
            version=stamp.version,
            run_id=stamp.run_id,
            system_identifier=at.system_identifier,
            timeline=at.timeline,
            epoch=at.epoch,
            database_oid=at.database_oid,
            tracking_id=cursor.tracking_id,
            xmin=at.xmin,
            ledger_rows=cursor.ledger_rows,
            ledger_checksum=str(cursor.ledger_checksum),
            rows=cursor.holdings.rows,
            checksum=str(cursor.holdings.checksum),
            parts=str(cursor.holdings.parts),
            compared_at=cursor.compared_at,
            recorded_at=datetime.now(UTC),
        )

    def record(
        self,
        table: Table,
        run_id: str,
        *,
        source: Profile,
        loaded: Profile,
        started_at: datetime,
        kind: str,
        compared: str,
        written: int,
        deleted: int,
    ) -> None:
        """Add a comparison to `load_audit`.

        Args:
            kind: "whole" or "changes".
            compared: "content" of all rows, or "keys" and the transactions that wrote them.
            written: rows sent.
            deleted: keys sent as gone.
        """
        self._insert(
            "load_audit",
            run_id=run_id,
            table_name=table.name,
            rows=loaded.rows,
            distinct_keys=loaded.distinct_keys,
            checksum=str(loaded.checksum),
            source_rows=source.rows,
            source_distinct_keys=source.distinct_keys,
            source_checksum=str(source.checksum),
            matches=source == loaded,
            started_at=started_at,
            finished_at=datetime.now(UTC),
            kind=kind,
            compared=compared,
            rows_written=written,
            rows_deleted=deleted,
        )

    def _insert(self, name: str, **values: object) -> None:
        # No block of these is ever a repetition, whatever the server thinks of equal ones.
        self._session.command(
            f"INSERT INTO {self._session.path(name)} ({', '.join(values)})"
            " SETTINGS insert_deduplicate = 0, async_insert = 0"
            f" SELECT {', '.join(map(literal, values.values()))}"
        )
