"""Removes deleted users from the warehouse, and says so only once nothing of them is found any more.

A mutation rewrites the parts of a table that hold a person's rows, wherever they are: in versions that newer
ones have replaced, in deletions (which have the key of what they removed), in tables that loads have put
aside. The old parts then stay on the disk for a while, and so do dropped tables; the erasure waits for both.
The users' ids are in a table while this runs and never in a statement, because ClickHouse keeps statements,
too.
"""

import logging
import re
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from dataflix_elt.clients import clickhouse, postgres
from dataflix_elt.erasure.disk_scan import scan
from dataflix_elt.erasure.pending_deletes import ANALYTICS, TableName, wait_for_pending_deletes
from dataflix_elt.errors import ErasureIncompleteError, WarehouseError
from dataflix_elt.log import EventLog
from dataflix_elt.settings import SourceSettings, WarehouseSettings
from dataflix_elt.tables import SOURCE_SCHEMA, TABLES
from dataflix_elt.warehouse.warehouse import Warehouse

_log = EventLog(logging.getLogger(__name__))

_IDS_PREFIX = "erasing__"
# Tables of dbt and the trainer come and go. The first pass that finds nothing, and each table in its place,
# is the last.
_PASSES = 5
# Our own server needs ten seconds for old parts and dropped tables; another one may take eight minutes for
# each.
_WAIT_S = 540
# Milliseconds lie between the statement that creates a table of dbt and the one that fills it.
_LOOKS = 3
_LOOK_S = 0.5
# ClickHouse's answer if a table was dropped since it was listed.
_UNKNOWN_TABLE = "(code 60)"
# How dbt names a table that it is filling.
_UNFINISHED = re.compile("__dbt_(backup|new_data|tmp)")

# The advisory lock of a step that writes people's lists, held until they are published.
PUBLICATION_LOCK = "publication"


@dataclass(frozen=True, slots=True)
class PendingErasure:
    """An erasure that was requested before this run began."""

    erasure_id: int
    user_id: int


class WarehouseTable(NamedTuple):
    """A table under its present name; a swap gives it another name."""

    database: str
    name: str
    uuid: str


@dataclass(frozen=True, slots=True)
class ErasureResult:
    """What a run did.

    Attributes:
        erasures: their ids.
        removed: rows by table, in all versions together.
        scanned_bytes: of the warehouse's files, unpacked; None if they are out of reach.
        seconds: from start to end.
    """

    erasures: list[int]
    removed: dict[str, int] = field(default_factory=dict)
    scanned_bytes: int | None = None
    seconds: float = 0.0


def erase(
    source: SourceSettings, warehouse: WarehouseSettings, data: Path | None, wait_s: float = _WAIT_S
) -> ErasureResult:
    """Remove all users from the warehouse who were deleted in the source, and verify that they are gone.

    Erasures that are requested while it runs are left to the next run. It waits for running loads and
    publications, and later ones wait for it. It refuses to run during a build by dbt.

    Args:
        source: where the erasures are recorded.
        warehouse: where to remove rows.
        data: ClickHouse's data folder, to search for the pseudonyms; None if it is on another machine.
        wait_s: how long to wait until files are deleted, s.

    Raises:
        ErasureIncompleteError: something is left, or dbt is building. Nothing was marked as verified, and a
            later run tries again.
        BusyError: a load, a publication or another erasure was still running after 20 minutes.
        TransientError: a service was down.
        SourceError, WarehouseError: a statement failed.
    """
    began = time.monotonic()
    removed: dict[str, int] = {}
    scanned_bytes = None
    with postgres.session(source) as records, clickhouse.session(warehouse) as target:
        records.advisory_lock("erasure")
        pending = _pending(records)
        if pending:
            # A load that had read a person's rows before they were deleted is done before we begin, and the
            # next one reads after we are done.
            records.advisory_lock(PUBLICATION_LOCK)
            for table in TABLES:
                records.advisory_lock(table.name)
            _drop_stale_staging_tables(Warehouse(target))
            with _table_of_ids(target, pending) as ids:
                condition = f"user_id IN (SELECT erased FROM {ids})"  # noqa: S608
                pseudonyms = _pseudonyms(target, condition)
                removed = _remove_everywhere(target, condition)
                mutated = {(database, name) for database, name in (path.split(".") for path in removed)}
                wait_for_pending_deletes(target, mutated, wait_s)
                scanned_bytes = None if data is None else _require_clean_files(data, pseudonyms)
            for erasure in pending:
                _record_verified(records, erasure, sum(removed.values()), scanned_bytes)
    result = ErasureResult(
        erasures=[erasure.erasure_id for erasure in pending],
        removed=removed,
        scanned_bytes=scanned_bytes,
        seconds=round(time.monotonic() - began, 3),
    )
    _log.info(
        "erasure_finished",
        erasures=len(result.erasures),
        rows=sum(removed.values()),
        tables=",".join(sorted(removed)),
        scanned_bytes=scanned_bytes,
        seconds=result.seconds,
    )
    return result


def _pending(records: postgres.Session) -> list[PendingErasure]:
    view = f"{SOURCE_SCHEMA}._erasures"
    if records.row("SELECT to_regclass(%s) IS NULL", (view,))[0]:
        return []
    rows = records.rows(f"SELECT erasure_id, user_id FROM {view} ORDER BY erasure_id")  # noqa: S608
    return [PendingErasure(int(erasure_id), int(user_id)) for erasure_id, user_id in rows]


def _record_verified(
    records: postgres.Session, erasure: PendingErasure, removed_rows: int, scanned_bytes: int | None
) -> None:
    records.execute("SET default_transaction_read_only = off")
    records.rows(
        f"SELECT {SOURCE_SCHEMA}._erasure_verified(%s, %s, %s)",
        (erasure.erasure_id, removed_rows, scanned_bytes),
    )


@contextmanager
def _table_of_ids(target: clickhouse.Session, pending: list[PendingErasure]) -> Iterator[str]:
    """Create a table with the users' ids, and drop it at the end; first drops those of killed runs."""
    for (name,) in target.query(
        "SELECT name FROM system.tables"
        " WHERE database = {database:String} AND startsWith(name, {prefix:String})",
        database=target.database,
        prefix=_IDS_PREFIX,
    ):
        target.command(f"DROP TABLE IF EXISTS {target.path(name)} SYNC")
    ids = _IDS_PREFIX + uuid.uuid4().hex[:12]
    # The column has another name than user_id, so that this table does not count as one with a person's rows.
    target.command(f"CREATE TABLE {target.path(ids)} (erased Int64) ENGINE = MergeTree ORDER BY erased")
    try:
        target.insert(ids, ("erased",), (f"{erasure.user_id}\n".encode() for erasure in pending))
        yield target.path(ids)
    finally:
        target.command(f"DROP TABLE IF EXISTS {target.path(ids)} SYNC")


def _pseudonyms(target: clickhouse.Session, condition: str) -> list[str]:
    rows = target.query(
        f"SELECT DISTINCT username_hash, email_hash FROM {target.path('users')} WHERE {condition}"  # noqa: S608
    )
    return [text for row in rows for text in row if text]


def _remove_everywhere(target: clickhouse.Session, condition: str) -> dict[str, int]:
    """Remove the users' rows from all tables; returns how many there were, by table.

    Raises:
        ErasureIncompleteError: dbt is building, or something else goes on writing.
    """
    removed: Counter[str] = Counter()
    for _ in range(_PASSES):
        tables = _tables(target)
        if filled := _being_filled(target, tables):
            raise ErasureIncompleteError(
                f"dbt is filling {', '.join(filled)}. Nothing was marked as verified; try again when the "
                "pipeline is done."
            )
        found = {f"{table.database}.{table.name}": _remove(target, table[:2], condition) for table in tables}
        removed.update(found)
        # A table that was swapped meanwhile may have been looked at twice, and the other one never. A new
        # table may hold rows that were read before they were removed.
        if not any(found.values()) and _tables(target) == tables:
            return {path: rows for path, rows in removed.items() if rows}
    raise ErasureIncompleteError(
        f"In {_PASSES} passes, rows of erased users came back or tables were swapped each time: something is "
        "writing to the warehouse. Nothing was marked as verified; try again when the pipeline is done."
    )


def _require_clean_files(data: Path, pseudonyms: list[str]) -> int:
    """Search ClickHouse's files for the pseudonyms; returns the bytes searched, unpacked.

    Raises:
        ErasureIncompleteError: a file has one of them, or cannot be searched.
    """
    result = scan(data, [text.encode() for text in pseudonyms])
    if result.found or result.unread:
        what = "contain pseudonyms of erased users" if result.found else "cannot be searched"
        files = ", ".join(str(path.relative_to(data)) for path in (result.found or result.unread)[:5])
        raise ErasureIncompleteError(f"Files of ClickHouse {what}: {files}. Nothing was marked as verified.")
    return result.bytes


def _drop_stale_staging_tables(warehouse: Warehouse) -> None:
    """Drop what killed loads have filled; what they were still sending then finds no table."""
    for table in TABLES:
        for staging in warehouse.fence_stale_loads(table, datetime.now(UTC)):
            warehouse.drop(staging)


def _tables(target: clickhouse.Session) -> list[WarehouseTable]:
    """Return the tables that have files of their own and a column with the user's id."""
    rows = target.query(
        "SELECT t.database, t.name, toString(t.uuid) FROM system.tables AS t"
        " INNER JOIN system.columns AS c ON t.database = c.database AND t.name = c.table"
        " WHERE t.database IN ({raw:String}, {analytics:String}) AND c.name = 'user_id'"
        " AND endsWith(t.engine, 'MergeTree') ORDER BY t.database DESC, t.name",
        raw=target.database,
        analytics=ANALYTICS,
    )
    return [WarehouseTable(*map(str, row)) for row in rows]


def _being_filled(target: clickhouse.Session, tables: list[WarehouseTable]) -> list[str]:
    """Return the tables that dbt is filling. No statement works on one that a failed build has left."""
    unfinished = [table.name for table in tables if _UNFINISHED.search(table.name)]
    for _ in range(_LOOKS if unfinished else 0):
        rows = target.query("SELECT query FROM system.processes WHERE position(query, '__dbt_') > 0")
        if filled := [name for name in unfinished if any(name in text for (text,) in rows)]:
            return filled
        time.sleep(_LOOK_S)
    return []


def _remove(target: clickhouse.Session, table: TableName, condition: str) -> int:
    """Remove the users' rows from a table; returns how many there were."""
    path = ".".join(table)
    try:
        ((count,),) = target.query(f"SELECT count() FROM {path} WHERE {condition}")  # noqa: S608
        if not count:
            return 0
        target.command(f"ALTER TABLE {path} MODIFY SETTING old_parts_lifetime = 1")
        target.command(f"ALTER TABLE {path} DELETE WHERE {condition} SETTINGS mutations_sync = 2")
        target.command(f"ALTER TABLE {path} RESET SETTING old_parts_lifetime")
    except WarehouseError as error:
        if _UNKNOWN_TABLE not in str(error):
            raise
        return 0
    _log.info("rows_erased", table=path, rows=count)
    return int(count)
