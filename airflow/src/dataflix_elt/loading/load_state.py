"""The state of the loads, which lies in ClickHouse: versions, cursors, and the log of comparisons."""

from dataclasses import dataclass
from datetime import UTC, datetime

from dataflix_elt.clients.clickhouse import Session, literal
from dataflix_elt.fingerprint import Fingerprint
from dataflix_elt.loading.context import LoadContext, Transfer
from dataflix_elt.loading.reconciliation import Comparison
from dataflix_elt.source.capture import Position, Tracking
from dataflix_elt.source.origin import Origin, SourceIdentity
from dataflix_elt.tables import LoadMetadata, Table
from dataflix_elt.warehouse.parts import Parts, TableState


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a table has been loaded, and what both sides held at that moment.

    Attributes:
        position: the source's position in its history.
        tracking_id: of the source's change capture.
        ledger: key fingerprint according to the source's ledger.
        state: what the raw table held.
        compared_at: when content was compared last.
    """

    position: Position
    tracking_id: str
    ledger: Fingerprint
    state: TableState
    compared_at: datetime

    def expected(self, now: Tracking) -> Fingerprint:
        """Return the key fingerprint that the warehouse must have now, according to the source's ledger."""
        return self.state.keys + now.ledger - self.ledger


class LoadStateStore:
    """Tables `load_versions`, `load_cursors` and `load_audit` of database `raw`."""

    def __init__(self, connection: Session) -> None:
        self._session = connection

    def next_version(self, table: Table, newest: int, run_id: str) -> int:
        """Return a version above all earlier ones.

        It is recorded before it is used, so what a killed load still sends has an older one.

        Args:
            table: what is loaded.
            newest: the newest version in the raw table.
            run_id: the pipeline's run.
        """
        path = self._session.path("load_versions")
        ((recorded,),) = self._session.query(
            f"SELECT max(version) FROM {path} WHERE table_name = {{table:String}}",  # noqa: S608
            table=table.name,
        )
        version = max(int(recorded), newest) + 1
        self._insert(
            "load_versions",
            table_name=table.name,
            version=version,
            run_id=run_id,
            given_at=datetime.now(UTC),
        )
        return version

    def cursor(self, table: Table) -> Cursor | None:
        """Return where the table's last load ended; None if an incremental load has nothing to start from."""
        rows = self._session.query(
            "SELECT system_identifier, timeline, epoch, database_oid, xmin, tracking_id, ledger_rows,"  # noqa: S608
            f" ledger_checksum, rows, checksum, parts, compared_at FROM {self._session.path('load_cursors')}"
            " WHERE table_name = {table:String} ORDER BY version DESC LIMIT 1",
            table=table.name,
        )
        if not rows:
            return None
        *position, tracking_id, ledger_rows, ledger_checksum, count, checksum, parts, compared_at = rows[0]
        identifier, timeline, epoch, database_oid, xmin = position
        return Cursor(
            Position(identifier, timeline, epoch, database_oid, xmin, is_standby=False),
            tracking_id,
            Fingerprint(ledger_rows, int(ledger_checksum)),
            TableState(Fingerprint(count, int(checksum)), Parts.parse(parts)),
            compared_at.replace(tzinfo=UTC),
        )

    def origin(self, table: Table) -> Origin | None:
        """Return where the rows of a raw table come from; None if no load has said it."""
        rows = self._session.query(
            "SELECT source_name, source_system_identifier, source_database_oid, system_identifier,"  # noqa: S608
            f" database_oid FROM {self._session.path('load_audit')}"
            " WHERE table_name = {table:String} AND matches AND source_name != ''"
            " ORDER BY version DESC, finished_at DESC LIMIT 1",
            table=table.name,
        )
        if not rows:
            return None
        ((name, source_system, source_oid, system, oid),) = rows
        return Origin(SourceIdentity(name, source_system, int(source_oid)), system, int(oid))

    def record_cursor(self, table: Table, metadata: LoadMetadata, cursor: Cursor) -> None:
        """Move the cursor: the last step of a load."""
        position, keys = cursor.position, cursor.state.keys
        self._insert(
            "load_cursors",
            table_name=table.name,
            version=metadata.version,
            run_id=metadata.run_id,
            system_identifier=position.system_identifier,
            timeline=position.timeline,
            epoch=position.epoch,
            database_oid=position.database_oid,
            tracking_id=cursor.tracking_id,
            xmin=position.xmin,
            ledger_rows=cursor.ledger.rows,
            ledger_checksum=str(cursor.ledger.checksum),
            rows=keys.rows,
            checksum=str(keys.checksum),
            parts=str(cursor.state.parts),
            compared_at=cursor.compared_at,
            # The warehouse's clock: an erasure compares it with the age of the tables that dbt builds there.
            recorded_at=self._session.query("SELECT now64(6, 'UTC')")[0][0].replace(tzinfo=UTC),
        )

    def record_comparison(
        self,
        context: LoadContext,
        metadata: LoadMetadata,
        comparison: Comparison,
        kind: str,
        transfer: Transfer,
    ) -> None:
        """Add a comparison to `load_audit`.

        Args:
            context: of the load.
            metadata: of the load's rows.
            comparison: what was compared.
            kind: "full" or "incremental".
            transfer: what was sent.
        """
        self._insert(
            "load_audit",
            run_id=context.run_id,
            table_name=context.table.name,
            rows=comparison.warehouse.rows,
            distinct_keys=comparison.warehouse_keys,
            checksum=str(comparison.warehouse.checksum),
            source_rows=comparison.source.rows,
            source_distinct_keys=comparison.source_keys,
            source_checksum=str(comparison.source.checksum),
            matches=comparison.matches,
            started_at=context.started_at,
            finished_at=datetime.now(UTC),
            kind=kind,
            compared=comparison.compared,
            rows_written=transfer.rows_written,
            rows_deleted=transfer.rows_deleted,
            version=metadata.version,
            source_name=context.origin.source.name,
            source_system_identifier=context.origin.source.system_identifier,
            source_database_oid=context.origin.source.database_oid,
            system_identifier=context.origin.system_identifier,
            database_oid=context.origin.database_oid,
        )

    def _insert(self, name: str, **values: object) -> None:
        # These rows are never a repetition, even if the server considers equal blocks duplicates.
        self._session.command(
            f"INSERT INTO {self._session.path(name)} ({', '.join(values)})"
            " SETTINGS insert_deduplicate = 0, async_insert = 0"
            f" SELECT {', '.join(map(literal, values.values()))}"
        )
