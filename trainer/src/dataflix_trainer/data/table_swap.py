"""Replaces all rows of a warehouse table in one step for its readers."""

import re
import secrets
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from dataflix_trainer.data.warehouse import Warehouse
from dataflix_trainer.errors import DataError

STAGING_TIME_FORMAT = "%Y%m%dT%H%M%S"
STAGING_SUFFIX = r"__(?P<time>\d{8}T\d{6})_[0-9a-f]{8}"
# A query that began before the swap may still read the old table; none of ours runs that long.
KEEP_OLD_FOR = timedelta(hours=1)


def swap_table(
    warehouse: Warehouse,
    table: str,
    parts: Iterable[pa.Table],
    find_problem: Callable[[str], str | None] = lambda _: None,
    exchanging: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> int:
    """Replace all rows of ``table`` by the rows of ``parts``.

    The rows go to a staging table, which is exchanged with ``table`` once their number is right. A reader
    sees the old rows or the new ones, never a mixture.

    Args:
        warehouse: where the table is.
        table: with its database, for instance ``analytics.recommendations``.
        parts: the new rows, inserted part by part.
        find_problem: given the name of the staging table, returns what is wrong with its rows, or None.
        exchanging: entered around the last step. What it raises at its begin leaves ``table`` as it was.

    Returns:
        The number of rows.

    Raises:
        DataError: rows were lost, or there is a problem; ``table`` is left as it was.
        ServiceUnavailableError: the warehouse does not answer.
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
    problem = f"{staging} holds {stored} of {written} rows" if stored != written else find_problem(staging)
    if problem is not None:
        warehouse.command(f"DROP TABLE IF EXISTS {staging} SYNC")
        raise DataError(f"{problem}; {table} was left as it was")
    with ExitStack() as around:
        try:
            around.enter_context(exchanging())
        except BaseException:
            warehouse.command(f"DROP TABLE IF EXISTS {staging} SYNC")
            raise
        warehouse.command(f"EXCHANGE TABLES {table} AND {staging}")
    return written


def drop_old_tables(warehouse: Warehouse, table: str) -> None:
    """Drop the tables that earlier swaps left behind, once no query can be reading them."""
    database, _, name = table.partition(".")
    staging_name = re.compile(re.escape(name) + STAGING_SUFFIX)
    tables = warehouse.batches(f"SHOW TABLES FROM {database} LIKE '{name}%'")
    for candidate in [str(value) for batch in tables for value in batch.column(0)]:
        match = staging_name.fullmatch(candidate)
        if match is None:
            continue
        made_at = datetime.strptime(match["time"], STAGING_TIME_FORMAT).replace(tzinfo=UTC)
        if made_at < datetime.now(UTC) - KEEP_OLD_FOR:
            warehouse.command(f"DROP TABLE IF EXISTS {database}.{candidate}")
