"""What ClickHouse keeps on its disk for a while: parts that mutations have replaced, and dropped tables."""

import logging
from collections.abc import Set

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from dataflix_elt.clients.clickhouse import Session
from dataflix_elt.errors import ErasureIncompleteError, WarehouseError
from dataflix_elt.log import EventLog

_log = EventLog(logging.getLogger(__name__))

ANALYTICS = "analytics"
# ClickHouse's answer if a table was dropped since it was listed.
UNKNOWN_TABLE = "(code 60)"
_POLL_S = 0.25

# While a table has this setting, parts with rows of erased users may be on the disk. It is set before rows
# are removed, and reset once the parts are gone: so the next try waits for what a killed one has left.
_SETTING = "old_parts_lifetime"
_BRIEF_S = 1
# As it stands in `system.tables.engine_full`.
BRIEF = f"{_SETTING} = {_BRIEF_S}"

# Database and table.
TableName = tuple[str, str]


def keep_old_parts_briefly(target: Session, path: str) -> None:
    """Let the server delete replaced parts of a table at once, not after eight minutes.

    Raises:
        WarehouseError: there is no such table.
    """
    target.command(f"ALTER TABLE {path} MODIFY SETTING {BRIEF}")


def tables_with_brief_parts(target: Session) -> set[TableName]:
    """Return the tables whose replaced parts are deleted at once, also those of earlier tries."""
    rows = target.query(
        "SELECT database, name FROM system.tables"
        " WHERE database IN ({raw:String}, {analytics:String})"
        " AND position(engine_full, {setting:String}) > 0",
        raw=target.database,
        analytics=ANALYTICS,
        setting=BRIEF,
    )
    return {(str(database), str(name)) for database, name in rows}


def keep_old_parts_as_usual(target: Session, tables: Set[TableName]) -> None:
    """Undo `keep_old_parts_briefly` for tables whose replaced parts are gone."""
    for database, name in sorted(tables):
        try:
            target.command(f"ALTER TABLE {database}.{name} RESET SETTING {_SETTING}")
        except WarehouseError as error:
            # dbt and the trainer replace their tables.
            if UNKNOWN_TABLE not in str(error):
                raise


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
