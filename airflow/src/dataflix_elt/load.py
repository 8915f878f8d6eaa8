"""One load of one table: the changes since the last one, or the whole; compared at the end."""

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from dataflix_elt.books import Books, Cursor
from dataflix_elt.capture import Position, Tracking, position, require_same_history, tracking, was_truncated
from dataflix_elt.changes import carry_changes
from dataflix_elt.comparison import Verify, compare
from dataflix_elt.job import Job
from dataflix_elt.settings import SourceSettings, WarehouseSettings
from dataflix_elt.source import snapshot
from dataflix_elt.tables import CHANGED_IN, Table
from dataflix_elt.warehouse import warehouse
from dataflix_elt.whole import load_whole


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load did.

    Attributes:
        kind: "whole" or "changes".
        why: why it was whole; empty when it was not.
        compared: "content" of all rows, or "keys".
        rows: in the table, after the load.
        rows_written: sent, changed or not.
        rows_deleted: keys sent as gone.
        version: what the loaded rows carry as `_version`.
        source_xmin: oldest transaction that was still open in the source when it was read.
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
    verify: Verify = Verify.AUTO,
    source_settings: SourceSettings,
    warehouse_settings: WarehouseSettings,
) -> LoadResult:
    """Bring a raw table to what its view holds now. Readers see the old rows or the new, nothing between.

    Running it again, or twice at once, does no harm: loads of a table wait for each other, and what one that
    was killed has left is either not visible or is what the next one would have written, too.

    Args:
        run_id: of the pipeline's run; goes into every row.
        attempt: number of this try of the run.
        full: load the whole table, whatever was carried over so far; repairs every difference.
        verify: how much to compare at the end; a whole load always compares content.

    Raises:
        SchemaDriftError, UnfitRowsError: found before anything was loaded.
        CursorVoidError: the source was restored or is another one; only a full load goes on from here.
        ReconciliationError: the warehouse differs from the source; the message says where.
        TransientError: a service was away, or another load came in between.
        SourceError, WarehouseError: a statement failed.
    """
    started_at, began = datetime.now(UTC), time.monotonic()
    with (
        warehouse(warehouse_settings) as target,
        snapshot(source_settings, turn=table.name) as source,
    ):
        shape = source.shape(table)
        capture = tracking(source, table) if shape.tells_changes else None
        columns = shape.more if capture is None else (*shape.more, CHANGED_IN)
        books = Books(target.session)
        job = Job(table.plus(*columns), run_id, attempt, started_at, source, target, books)
        job.tell("load_started")
        if dead := target.shut_out_the_dead(table, started_at):
            job.tell("dead_loads_shut_out", logging.WARNING, tables=",".join(side.name for side in dead))
        if shape.strange:
            job.tell("columns_not_loaded", logging.WARNING, columns=",".join(shape.strange))
        if capture is None:
            job.tell("changes_not_captured", logging.WARNING)
        missing = target.missing_columns(job.table)
        if new := [column.name for column in shape.more if column in missing]:
            job.tell("columns_carried_over", logging.WARNING, columns=",".join(new))
        now = position(source)
        cursor = books.cursor(table)
        why = "asked for" if full else _why_whole(job, now, capture, cursor)
        if missing and not why:
            why = "the raw table lacks columns"
        if why or capture is None or cursor is None:
            job.tell("load_is_whole", why=why)
            done, kind, compared = load_whole(job, missing), "whole", "content"
            held = done.held or target.holdings(job.table)
        else:
            done, kind = carry_changes(job, cursor.position.xmin, cursor.holdings), "changes"
            compared, held = compare(job, done, cursor, capture, verify)
        if capture is not None and not now.is_standby:
            compared_at = cursor.compared_at if cursor and compared == "keys" else started_at
            moved = Cursor(now, capture.tracking_id, capture.rows, capture.checksum, held, compared_at)
            books.record_cursor(job.table, job.stamp, moved)
        result = LoadResult(
            table=job.table.name,
            run_id=job.run_id,
            kind=kind,
            why=why,
            compared=compared,
            rows=held.rows,
            rows_written=done.written,
            rows_deleted=done.deleted,
            version=job.stamp.version,
            source_xmin=now.xmin,
            transferred=done.transferred,
            seconds=round(time.monotonic() - began, 3),
        )
    job.tell(
        "load_finished",
        kind=kind,
        rows=result.rows,
        written=done.written,
        deleted=done.deleted,
        compared=compared,
        seconds=result.seconds,
    )
    return result


def _why_whole(job: Job, now: Position, capture: Tracking | None, cursor: Cursor | None) -> str:
    """Return why the changes alone would not do; empty when they would.

    Raises:
        CursorVoidError: nobody can say what the changes are.
    """
    if capture is None:
        return "the source does not tell its changes"
    recorded = now if cursor is None else cursor.position
    require_same_history(job.table.name, recorded, now, job.repair)
    if cursor is None:
        return "nothing was carried over so far"
    if cursor.tracking_id != capture.tracking_id:
        return "the source began anew to capture its changes"
    if cursor.position.xmin < capture.complete_from:
        return "the source has forgotten deletions since the last load"
    if was_truncated(job.source, job.table, cursor.position.xmin):
        return "the table was truncated"
    return ""
