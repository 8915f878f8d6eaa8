"""One load of one table: incremental if possible, else full; compared with the source at the end."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from dataflix_elt.loading.context import LoadContext
from dataflix_elt.loading.full import load_full
from dataflix_elt.loading.incremental import load_incremental
from dataflix_elt.loading.load_state import Cursor, LoadStateStore
from dataflix_elt.loading.reconciliation import Verify, compare_incremental, is_content_due, require_equal
from dataflix_elt.settings import SourceSettings, WarehouseSettings
from dataflix_elt.source.capture import Position, Tracking, require_same_history
from dataflix_elt.source.origin import Origin, require_same_source
from dataflix_elt.source.snapshot import Snapshot, ViewColumns, snapshot
from dataflix_elt.tables import LAST_XID, LoadMetadata, Table
from dataflix_elt.warehouse.warehouse import warehouse


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load did.

    Attributes:
        table: its name.
        run_id: the pipeline's run.
        kind: "full" or "incremental".
        why: why it was full; empty if it was not.
        compared: "content" of all rows, or "keys".
        rows: in the table, after the load.
        rows_written: sent, changed or not.
        rows_deleted: deleted keys that were sent.
        version: what the loaded rows have as `_version`.
        source_xmin: oldest transaction that was still open in the source.
        transferred: bytes sent.
        seconds: from start to end.
    """

    table: str
    run_id: str
    kind: str
    why: str
    compared: str
    rows: int
    rows_written: int
    rows_deleted: int
    version: int
    source_xmin: int
    transferred: int
    seconds: float


def load(
    table: Table,
    *,
    run_id: str,
    attempt: int = 1,
    full: bool = False,
    accept_source: bool = False,
    verify: Verify = Verify.AUTO,
    source_settings: SourceSettings,
    warehouse_settings: WarehouseSettings,
) -> LoadResult:
    """Make a raw table hold what its view shows now; readers see the old rows or the new ones.

    A load can be repeated, and started twice at once: loads of one table wait for each other. What a killed
    load leaves behind is either invisible or what the next load would have written, too.

    Args:
        table: what to load.
        run_id: the pipeline's run; goes into each row.
        attempt: number of this try of the run.
        full: load the whole table, whatever earlier loads did; repairs every difference.
        accept_source: replace the rows of another database.
        verify: how much to compare at the end; a full load always compares content.
        source_settings: where to read.
        warehouse_settings: where to write.

    Raises:
        SchemaDriftError, InvalidRowsError: nothing was loaded.
        OtherSourceError: the raw table holds the rows of another database; nothing was loaded.
        CursorInvalidError: the source was restored or is another one; only a full load helps.
        ReconciliationError: the warehouse differs from the source; the message says where.
        TransientError: a service was down, or another load finished meanwhile.
        SourceError, WarehouseError: a statement failed.
    """
    started_at, began = datetime.now(UTC), time.monotonic()
    with (
        warehouse(warehouse_settings) as target,
        snapshot(source_settings, table) as source,
    ):
        view = source.view_columns(table)
        tracking = source.tracking(table) if view.has_last_xid else None
        loaded_columns = view.extra if tracking is None else (*view.extra, LAST_XID)
        position = source.position()
        origin = Origin.of(source.source_identity(), position)
        context = LoadContext(table.with_columns(*loaded_columns), run_id, attempt, started_at, origin)
        log = context.log
        log.info("load_started")
        if stale := target.fence_stale_loads(table, started_at):
            log.warning("stale_loads_fenced", tables=",".join(staging.name for staging in stale))
        missing = target.missing_columns(context.table)
        _warn(context, view, missing, is_tracked=tracking is not None)
        state = LoadStateStore(target.session)
        cursor = state.cursor(table)
        loaded = state.origin(table) if target.has_rows(table) else None
        if loaded is not None and not accept_source:
            require_same_source(table.name, loaded, origin, is_tracked=tracking is not None, full=full)
        is_requested = full or (accept_source and loaded != origin)
        why = "requested" if is_requested else _why_full(context, source, position, tracking, cursor)
        if missing and not why:
            why = "the raw table lacks columns"
        version = state.next_version(table, target.newest_version(table), run_id)
        metadata = LoadMetadata(version, started_at, run_id)
        if why or tracking is None or cursor is None:
            log.info("full_load", why=why)
            kind, compared, compared_at = "full", "content", started_at
            transfer, after = load_full(context, source, target, state, metadata, missing=missing)
        else:
            kind = "incremental"
            transfer, known = load_incremental(
                context, source, target, metadata, since=cursor.position.xmin, before=cursor.state
            )
            after = known or target.state(context.table)
            expected = cursor.expected(tracking)
            comparison = compare_incremental(
                source,
                target,
                context.table,
                expected=expected,
                found=after.keys,
                with_content=is_content_due(verify, expected.rows, started_at, cursor.compared_at),
            )
            state.record_comparison(context, metadata, comparison, kind, transfer)
            outcome = f"The cursor did not move. To repair the table: {context.full_load_command}"
            require_equal(context.table, comparison, outcome)
            if expected != after.keys:
                log.warning("ledger_mismatch", expected_rows=expected.rows, rows=after.keys.rows)
            compared = comparison.compared
            compared_at = cursor.compared_at if compared == "keys" else started_at
        if tracking is not None and not position.is_standby:
            moved = Cursor(position, tracking.tracking_id, tracking.ledger, after, compared_at)
            state.record_cursor(table, metadata, moved)
    result = LoadResult(
        table=table.name,
        run_id=run_id,
        kind=kind,
        why=why,
        compared=compared,
        rows=after.keys.rows,
        rows_written=transfer.rows_written,
        rows_deleted=transfer.rows_deleted,
        version=metadata.version,
        source_xmin=position.xmin,
        transferred=transfer.bytes,
        seconds=round(time.monotonic() - began, 3),
    )
    log.info(
        "load_finished",
        kind=kind,
        rows=result.rows,
        written=result.rows_written,
        deleted=result.rows_deleted,
        compared=compared,
        seconds=result.seconds,
    )
    return result


def _warn(context: LoadContext, view: ViewColumns, missing: Mapping[str, str], *, is_tracked: bool) -> None:
    """Log what somebody may not expect of a load."""
    log = context.log
    if view.unsupported:
        log.warning("columns_not_loaded", columns=",".join(view.unsupported))
    if not is_tracked:
        log.warning("changes_not_captured")
    if new := [column.name for column in view.extra if column.name in missing]:
        log.warning("columns_added", columns=",".join(new))


def _why_full(
    context: LoadContext,
    source: Snapshot,
    position: Position,
    tracking: Tracking | None,
    cursor: Cursor | None,
) -> str:
    """Return why an incremental load is not enough; empty if it is.

    Raises:
        CursorInvalidError: nobody can say what the changes are.
    """
    if tracking is None:
        return "the source does not capture changes"
    recorded = position if cursor is None else cursor.position
    require_same_history(context.table.name, recorded, position, context.full_load_command)
    if cursor is None:
        return "the table has not been loaded before"
    if cursor.tracking_id != tracking.tracking_id:
        return "the source started its change capture again"
    if cursor.position.xmin < tracking.complete_from:
        return "the source has pruned deletions since the last load"
    if source.was_truncated(context.table, cursor.position.xmin):
        return "the table was truncated"
    return ""
