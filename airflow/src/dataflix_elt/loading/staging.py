"""The staging table of a load."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from dataflix_elt.errors import EltError
from dataflix_elt.loading.context import LoadContext
from dataflix_elt.tables import LoadMetadata
from dataflix_elt.warehouse.staging_table import StagingTable
from dataflix_elt.warehouse.warehouse import Warehouse


@contextmanager
def staging_table(
    context: LoadContext, target: Warehouse, metadata: LoadMetadata, missing: Mapping[str, str]
) -> Iterator[StagingTable]:
    """Create a staging table for the block, and drop it if the block fails.

    Args:
        context: of the load.
        target: the warehouse.
        metadata: goes into each row.
        missing: columns that the raw table lacks and the staging table gets, with their types.
    """
    if dropped := target.drop_expired(context.table, context.started_at):
        context.log.info("expired_tables_dropped", tables=",".join(dropped))
    staging = StagingTable(context.table.name, "staging", context.started_at, context.owner)
    try:
        target.create_staging(context.table, staging, metadata, missing)
        yield staging
    except BaseException:
        try:
            target.drop(staging)
        except EltError as error:
            # Raise the first error; a later load drops the table.
            context.log.warning("staging_table_left", staging=staging.name, reason=error)
        raise
