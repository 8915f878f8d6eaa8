"""What ClickHouse leaves on its disk for a time: parts that mutations have replaced, and dropped tables."""

import logging
import time
from collections.abc import Set

from dataflix_elt.clickhouse import Session
from dataflix_elt.errors import ErasureIncompleteError
from dataflix_elt.log import event

_log = logging.getLogger(__name__)

ANALYTICS = "analytics"
_POLL_S = 1.0

Names = tuple[str, str]


def wait_for_the_disk(target: Session, touched: Set[Names], wait_s: float) -> None:
    """Wait until the parts that mutations have replaced, and the tables that were dropped, are deleted.

    Args:
        touched: the tables with mutations.
        wait_s: for how long, s.

    Raises:
        ErasureIncompleteError: something is still there.
    """
    deadline = time.monotonic() + wait_s
    replaced = {row for row in _inactive_parts(target) if row[:2] in touched}
    dropped = _dropped_tables(target)
    event(_log, "waiting_for_the_disk", parts=len(replaced), dropped_tables=len(dropped))
    while replaced or dropped:
        if time.monotonic() > deadline:
            raise ErasureIncompleteError(
                f"{len(replaced)} old parts and {len(dropped)} dropped tables are still on ClickHouse's disk "
                f"after {wait_s:.0f} s. Nothing was marked as verified."
            )
        time.sleep(_POLL_S)
        replaced &= _inactive_parts(target)
        dropped &= _dropped_tables(target)


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
