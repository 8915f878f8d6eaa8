"""A full load: stage the whole table, reconcile it with the source, swap it in."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dataflix_elt.errors import EltError
from dataflix_elt.log import event
from dataflix_elt.reconciliation import require_equal, require_unique_keys
from dataflix_elt.settings import SourceSettings, WarehouseSettings
from dataflix_elt.source import Snapshot, snapshot
from dataflix_elt.staging import SideTable, owner_of
from dataflix_elt.tables import Table
from dataflix_elt.transfer import streamed
from dataflix_elt.warehouse import Stamp, Warehouse, warehouse

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load did.

    Attributes:
        checksum: as a decimal number; too large for most readers of JSON to keep as one.
        version: what the loaded rows carry as `_version`.
        source_xmin: oldest transaction that was still open in the source when it was read.
        transferred: bytes sent.
        seconds: from start to swap.
    """

    table: str
    run_id: str
    rows: int
    checksum: str
    version: int
    source_xmin: int
    transferred: int
    seconds: float


def full_load(
    table: Table,
    *,
    run_id: str,
    attempt: int = 1,
    source_settings: SourceSettings,
    warehouse_settings: WarehouseSettings,
) -> LoadResult:
    """Replace a raw table by what its view holds now. Readers see the old rows or the new, nothing between.

    Running it again, or twice at once, does no harm: each try fills a table of its own, and a try whose turn
    was taken by another gives way.

    Args:
        run_id: of the pipeline's run; goes into every row.
        attempt: number of this try of the run.

    Raises:
        SchemaDriftError, UnfitRowsError: found before anything was loaded.
        ReconciliationError: what arrived differs from the source; the raw table is as it was.
        TransientError: a service was away, or another load came in between; the raw table is as it was.
        SourceError, WarehouseError: a statement failed; the raw table is as it was.
    """
    started_at = datetime.now(UTC)
    tags: dict[str, Any] = {"run_id": run_id, "attempt": attempt, "table": table.name}
    event(_log, "load_started", **tags)
    with warehouse(warehouse_settings) as target, snapshot(source_settings) as source:
        target.require_columns(table)
        if unknown := source.require_columns(table):
            event(_log, "columns_not_loaded", logging.WARNING, **tags, columns=",".join(unknown))
        expected = source.profile(table)
        event(_log, "source_profiled", **tags, rows=expected.rows, xmin=source.xmin)
        require_unique_keys(table, expected)
        if dropped := target.drop_leftovers(table, started_at):
            event(_log, "leftovers_dropped", **tags, tables=",".join(dropped))
        stamp = Stamp(version=target.version(table) + 1, extracted_at=started_at, run_id=run_id)
        owner = owner_of(run_id, attempt, started_at)
        with _staging(table, target, stamp, owner) as staging:
            transferred = _transfer(table, source, target, staging)
            loaded = target.profile(table, staging)
            target.record(table, stamp, source=expected, loaded=loaded, started_at=started_at)
            require_equal(table, expected, loaded)
            target.swap_in(table, staging, stamp)
        target.retire(staging, SideTable(table.name, "retired", datetime.now(UTC), owner))
    seconds = (datetime.now(UTC) - started_at).total_seconds()
    result = LoadResult(
        table=table.name,
        run_id=run_id,
        rows=loaded.rows,
        checksum=str(loaded.checksum),
        version=stamp.version,
        source_xmin=source.xmin,
        transferred=transferred,
        seconds=round(seconds, 3),
    )
    event(_log, "load_finished", **tags, rows=result.rows, bytes=transferred, seconds=result.seconds)
    return result


@contextmanager
def _staging(table: Table, target: Warehouse, stamp: Stamp, owner: str) -> Iterator[SideTable]:
    """Give a staging table to the block, and drop it if the block fails."""
    staging = SideTable(table.name, "staging", stamp.extracted_at, owner)
    try:
        target.create_staging(table, staging, stamp)
        yield staging
    except BaseException:
        try:
            target.drop(staging)
        except EltError as error:
            # The first error is the one to tell; a later load drops the table.
            event(_log, "staging_left_behind", logging.WARNING, table=staging.name, reason=error)
        raise


def _transfer(table: Table, source: Snapshot, target: Warehouse, staging: SideTable) -> int:
    with streamed(lambda sink: source.copy_rows(table, sink), source.cancel) as stream:
        target.insert(table, staging, stream)
    return stream.transferred
