"""An incremental load: stage what was written and deleted since the last load, compare it, add it."""

from dataflix_elt.errors import ReconciliationError
from dataflix_elt.fingerprint import Fingerprint
from dataflix_elt.loading.context import LoadContext, Transfer
from dataflix_elt.loading.reconciliation import Comparison, require_equal, require_unique_keys
from dataflix_elt.loading.staging import staging_table
from dataflix_elt.loading.stream import streamed
from dataflix_elt.source.snapshot import Snapshot
from dataflix_elt.tables import LoadMetadata
from dataflix_elt.warehouse.parts import TableState
from dataflix_elt.warehouse.staging_table import StagingTable
from dataflix_elt.warehouse.warehouse import Warehouse

# Above this share of the table's rows it is faster to read the whole table than to look keys up.
_SMALL_SHARE = 0.05


def load_incremental(
    context: LoadContext,
    source: Snapshot,
    target: Warehouse,
    metadata: LoadMetadata,
    *,
    since: int,
    before: TableState,
) -> tuple[Transfer, TableState | None]:
    """Add to a raw table the present rows that transaction `since` or a later one wrote, and the deletions.

    Args:
        context: of the load.
        source: what to read.
        target: the warehouse.
        metadata: goes into each row.
        since: the first transaction that the last load may have missed.
        before: what the raw table held after the last load.

    Returns:
        What was sent, and what the raw table then holds; None if only a read of all of it can tell.

    Raises:
        InvalidRowsError: nothing was loaded.
        ReconciliationError: what arrived differs from the source; the raw table is as before.
        SupersededError: another load finished meanwhile; the raw table is as that one left it.
    """
    table = context.table
    with source.prefer_indexes():
        written = source.fingerprint(table, since)
        written_keys = source.distinct_keys(table, since) if written.rows else 0
        deleted = source.count_deleted(table, since)
        context.log.info("changes_read", rows=written.rows, deleted=deleted, since=since)
        require_unique_keys(table, written.rows, written_keys)
        # As long as none of its parts has changed, the table holds what it held.
        is_untouched = target.parts(table).same_content(before.parts)
        if not written.rows and not deleted:
            return Transfer(0, 0, 0), before if is_untouched else None
        with staging_table(context, target, metadata, {}) as staging:
            sent = 0
            if written.rows:
                with streamed(lambda sink: source.copy_rows(table, sink, since), source.cancel) as stream:
                    target.insert(table, staging, stream)
                sent += stream.transferred
            if deleted:
                with streamed(lambda sink: source.copy_deleted(table, sink, since), source.cancel) as stream:
                    target.insert_deleted(table, staging, stream)
                sent += stream.transferred
            arrived = target.fingerprint(table, staging), target.distinct_keys(table, staging)
            outcome = f"raw.{table.name} is as it was before."
            require_equal(table, Comparison("content", written, written_keys, *arrived), outcome)
            arrived_deleted = target.count_deleted(staging)
            if arrived_deleted != deleted:
                raise ReconciliationError(
                    f"{deleted} keys of {table.source} were deleted, and {arrived_deleted} arrived. {outcome}"
                )
            is_small = written.rows + deleted <= before.keys.rows * _SMALL_SHARE
            if is_untouched and is_small:
                after = _publish_and_add_up(context, target, staging, metadata, before.keys)
            else:
                target.publish(table, staging, metadata)
                after = None
    # No query reads it, and the raw table has its rows, too.
    target.drop(staging)
    return Transfer(written.rows, deleted, sent), after


def _publish_and_add_up(
    context: LoadContext,
    target: Warehouse,
    staging: StagingTable,
    metadata: LoadMetadata,
    before: Fingerprint,
) -> TableState:
    """Publish the staged rows, and return what the table then holds.

    Reads only the changed keys of the raw table, before and after. The other keys are in parts that stay.

    Raises:
        ReconciliationError: the raw table does not show what was staged.
    """
    table = context.table
    old = target.key_fingerprint_of_staged_keys(table, staging)
    target.publish(table, staging, metadata)
    parts = target.parts(table)
    new = target.key_fingerprint_of_staged_keys(table, staging)
    staged = target.key_fingerprint(table, staging)
    if new != staged:
        raise ReconciliationError(
            f"raw.{table.name} shows {new.rows} of {staged.rows} changed rows, or others. The cursor did not "
            f"move. To repair the table: {context.full_load_command}"
        )
    return TableState(before - old + new, parts)
