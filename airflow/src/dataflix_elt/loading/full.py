"""A full load: stage the whole table, compare it with the source, swap it in."""

from collections.abc import Mapping
from datetime import UTC, datetime

from dataflix_elt.loading.context import LoadContext, Transfer
from dataflix_elt.loading.load_state import LoadStateStore
from dataflix_elt.loading.reconciliation import compare_content, require_equal, require_unique_keys
from dataflix_elt.loading.staging import staging_table
from dataflix_elt.loading.stream import streamed
from dataflix_elt.source.snapshot import Snapshot
from dataflix_elt.tables import LoadMetadata
from dataflix_elt.warehouse.parts import TableState
from dataflix_elt.warehouse.warehouse import Warehouse


def load_full(
    context: LoadContext,
    source: Snapshot,
    target: Warehouse,
    state: LoadStateStore,
    metadata: LoadMetadata,
    *,
    missing: Mapping[str, str],
) -> tuple[Transfer, TableState]:
    """Replace a raw table by what its view shows; returns what was sent and what the raw table then holds.

    Args:
        context: of the load.
        source: what to read.
        target: the warehouse.
        state: gets the comparison.
        metadata: goes into each row.
        missing: columns that the raw table lacks and gets, with their types.

    Raises:
        InvalidRowsError: nothing was loaded.
        ReconciliationError: a key repeats in the source, or what arrived differs from it; the raw table is as
            before.
        SupersededError: another load finished meanwhile; the raw table is as that one left it.
    """
    table = context.table
    expected = source.fingerprint(table)
    context.log.info("source_read", rows=expected.rows)
    with staging_table(context, target, metadata, missing) as staging:
        with streamed(lambda sink: source.copy_rows(table, sink), source.cancel) as stream:
            target.insert(table, staging, stream)
        parts = target.parts(staging)
        arrived, keys = target.both_fingerprints(table, staging)
        comparison = compare_content(source, table, expected, arrived, target.distinct_keys(table, staging))
        require_unique_keys(table, comparison.source.rows, comparison.source_keys)
        transfer = Transfer(arrived.rows, 0, stream.transferred)
        state.record_comparison(context, metadata, comparison, "full", transfer)
        require_equal(table, comparison, f"raw.{table.name} is as it was before.")
        target.swap_in(table, staging, metadata)
    target.retire(staging, datetime.now(UTC))
    return transfer, TableState(keys, parts)
