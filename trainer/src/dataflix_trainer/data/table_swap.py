"""Puts new rows in a warehouse table's place, in one step for whoever reads it."""

import re
import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from dataflix_trainer.data.warehouse import Warehouse
from dataflix_trainer.errors import DataError

STAGING_TIME_FORMAT = "%Y%m%dT%H%M%S"
STAGING_SUFFIX = r"__(?P<time>\d{8}T\d{6})_[0-9a-f]{8}"
# A table that was swapped out may still be read by a query that began before; none of ours takes that long.
KEEP_OLD_FOR = timedelta(hours=1)


def replace_rows(
    warehouse: Warehouse,
    table: str,
    parts: Iterable[pa.Table],
    objection: Callable[[str], str | None] = lambda _: None,
) -> int:
    """Put the rows of ``parts`` in the place of all rows of ``table``, e.g. ``analytics.recommendations``.

    They go to a staging table, which is exchanged with ``table`` once their number is right: a reader sees
    the old rows or the new, never a mixture. ``objection`` says of the staging table, by its name, what is
    wrong with it, if anything is. Returns the number of rows. Raises DataError when rows were lost or there
    is an objection, and then drops them; ServiceUnavailableError.
    """
    drop_old_tables(warehouse, table)
    staging = f"{table}__{datetime.now(UTC).strftime(STAGING_TIME_FORMAT)}_{secrets.token_hex(4)}"
    warehouse.command(f"CREATE TABLE {staging} AS {table}")
    written = 0
    for rows in parts:
        if rows.num_rows:
            warehouse.insert(staging, rows)
        written += rows.num_rows
    stored = int(warehouse.command(f"SELECT count() FROM {staging}"))  # noqa: S608 - the name is ours
    wrong = f"{staging} holds {stored} rows of {written}" if stored != written else objection(staging)
    if wrong is not None:
        warehouse.command(f"DROP TABLE IF EXISTS {staging} SYNC")
        raise DataError(f"{wrong}; {table} was left as it was")
    warehouse.command(f"EXCHANGE TABLES {table} AND {staging}")
    return written


def drop_old_tables(warehouse: Warehouse, table: str) -> None:
    """Drop what earlier runs swapped out or left unfinished, once nobody can be reading it."""
    database, _, name = table.partition(".")
    ours = re.compile(re.escape(name) + STAGING_SUFFIX)
    found = warehouse.batches(f"SHOW TABLES FROM {database} LIKE '{name}%'")
    for candidate in [str(value) for batch in found for value in batch.column(0)]:
        match = ours.fullmatch(candidate)
        if match is None:
            continue
        made_at = datetime.strptime(match["time"], STAGING_TIME_FORMAT).replace(tzinfo=UTC)
        if made_at < datetime.now(UTC) - KEEP_OLD_FOR:
            warehouse.command(f"DROP TABLE IF EXISTS {database}.{candidate}")
