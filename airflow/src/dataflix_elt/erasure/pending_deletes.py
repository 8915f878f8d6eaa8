"""What ClickHouse keeps on its disk for a while: parts that mutations have replaced, and dropped tables."""

import logging
from collections.abc import Set

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from dataflix_elt.clients.clickhouse import Session
from dataflix_elt.errors import ErasureIncompleteError
from dataflix_elt.log import EventLog

_log = EventLog(logging.getLogger(__name__))

ANALYTICS = "analytics"
_POLL_S = 0.25

# Database and table.
TableName = tuple[str, str]


def wait_for_pending_deletes(target: Session, mutated: Set[TableName], wait_s: float) -> None:
    """Wait until replaced parts of mutated tables, and dropped tables, are deleted from the disk.

    Args:
        target: the warehouse.
        mutated: the tables with mutations.
        wait_s: how long to wait, s.

    Raises:
        ErasureIncompleteError: something is still there.
    """
    parts = {part for part in _inactive_parts(target) if part[:2] in mutated}
    tables = _dropped_tables(target)
    _log.info("waiting_for_pending_deletes", parts=len(parts), dropped_tables=len(tables))

    def is_pending() -> bool:
        # Only what was there at the start: others go on writing and dropping.
        parts.intersection_update(_inactive_parts(target) if parts else ())
        tables.intersection_update(_dropped_tables(target) if tables else ())
        return bool(parts or tables)

    still_pending = Retrying(
        retry=retry_if_result(bool),
        stop=stop_after_delay(wait_s),
        wait=wait_fixed(_POLL_S),
        retry_error_callback=lambda attempts: True,
    )(is_pending)
    if still_pending:
        raise ErasureIncompleteError(
            f"{len(parts)} replaced parts and {len(tables)} dropped tables are still on ClickHouse's disk "
            f"after {wait_s:.0f} s. Nothing was marked as verified."
        )


def _inactive_parts(target: Session) -> set[tuple[str, str, str]]:
    rows = target.query(
        "SELECT database, table, name FROM system.parts"
        " WHERE database IN ({raw:String}, {analytics:String}) AND NOT active",
        raw=target.database,
        analytics=ANALYTICS,
    )
    return {(str(database), str(table), str(name)) for database, table, name in rows}


def _dropped_tables(target: Session) -> set[str]:
    rows = target.query(
        "SELECT toString(uuid) FROM system.dropped_tables"
        " WHERE database IN ({raw:String}, {analytics:String})",
        raw=target.database,
        analytics=ANALYTICS,
    )
    return {str(row[0]) for row in rows}
