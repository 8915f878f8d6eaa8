"""Removes erased users' rows from all tables of the warehouse.

A mutation rewrites the parts of a table that hold a person's rows, wherever they are: in versions that newer
ones have replaced, in deletions (which have the key of what they removed), in tables that loads have put
aside.
"""

import logging
import re
import time
from collections import Counter

from dataflix_elt.clients import clickhouse
from dataflix_elt.erasure import small_groups
from dataflix_elt.erasure.conditions import Conditions, WarehouseTable
from dataflix_elt.erasure.pending_deletes import ANALYTICS, BRIEF, UNKNOWN_TABLE, keep_old_parts_briefly
from dataflix_elt.errors import ErasureIncompleteError, WarehouseError
from dataflix_elt.log import EventLog
from dataflix_elt.tables import LAST_XID

_log = EventLog(logging.getLogger(__name__))

# Tables of dbt and the trainer come and go. The first pass that finds nothing, and each table in its place,
# is the last.
_PASSES = 5
# Milliseconds lie between the statement that creates a table of dbt and the one that fills it.
_LOOKS = 3
_LOOK_S = 0.5
# How dbt names a table that it is filling.
_UNFINISHED = re.compile("__dbt_(backup|new_data|tmp)")
# What a statement inserts into. dbt begins its statements with a comment.
_INSERT = re.compile(r"\binsert\s+into\s+(?:table\s+)?([\w.`]+)", re.IGNORECASE)


def remove_everywhere(target: clickhouse.Session, conditions: Conditions) -> tuple[dict[str, int], list[str]]:
    """Remove the users' rows from all tables; for the parts that had them see `pending_deletes`.

    Returns:
        How many there were, by table; and the tables that have none at the end.

    Raises:
        ErasureIncompleteError: dbt is building, or something else goes on writing.
    """
    removed: Counter[str] = Counter()
    # By uuid, as it was before this changed the table.
    created: dict[str, int] = {}
    for _ in range(_PASSES):
        tables = _tables(target, created)
        if filled := _being_filled(target, tables):
            raise ErasureIncompleteError(
                f"dbt is filling {', '.join(filled)}. Nothing was marked as verified; try again when the "
                "pipeline is done."
            )
        for table in tables:
            if table.database == ANALYTICS and table.name.startswith(small_groups.PREFIX):
                _hide_small_groups(target, table.name, conditions.of(table))
        found = {table.path: _remove(target, table.path, conditions.of(table)) for table in tables}
        removed.update(found)
        # A table that was swapped meanwhile may have been looked at twice, and the other one never. A new
        # table may hold rows that were read before they were removed.
        if not any(found.values()) and _tables(target, created) == tables:
            return {path: rows for path, rows in removed.items() if rows}, [table.path for table in tables]
    raise ErasureIncompleteError(
        f"In {_PASSES} passes, rows of erased users came back or tables were swapped each time: something is "
        "writing to the warehouse. Nothing was marked as verified; try again when the pipeline is done."
    )


def _tables(target: clickhouse.Session, created: dict[str, int]) -> list[WarehouseTable]:
    """Return the tables that have files of their own and a column with the user's id.

    Args:
        target: the warehouse.
        created: gets when each table was created, by uuid, unless it has that. When that was cannot be told
            of a table that an earlier try has changed. It counts as old, so it may lose rows of a new user
            with the id of an erased one, and gets them back when it is built again.
    """
    rows = target.query(
        "SELECT t.database, t.name, toString(t.uuid),"  # noqa: S608
        " if(position(t.engine_full, {brief:String}) > 0, 0, toUnixTimestamp(t.metadata_modification_time)),"
        f" t.database = {{raw:String}} AND max(c.name = '{LAST_XID.name}')"
        " FROM system.tables AS t"
        " INNER JOIN system.columns AS c ON t.database = c.database AND t.name = c.table"
        " WHERE t.database IN ({raw:String}, {analytics:String})"
        " AND endsWith(t.engine, 'MergeTree')"
        " GROUP BY t.database, t.name, t.uuid, t.metadata_modification_time, t.engine_full"
        " HAVING max(c.name = 'user_id') ORDER BY t.database DESC, t.name",
        raw=target.database,
        analytics=ANALYTICS,
        brief=BRIEF,
    )
    return [
        WarehouseTable(
            str(database), str(name), str(identifier), created.setdefault(identifier, at), bool(is_raw)
        )
        for database, name, identifier, at, is_raw in rows
    ]


def _being_filled(target: clickhouse.Session, tables: list[WarehouseTable]) -> list[str]:
    """Return the tables that dbt is filling. No statement works on one that a failed build has left.

    What a statement has inserted is not seen before it ends. The first build of a model fills the table under
    its own name.
    """
    rows = target.query("SELECT query FROM system.processes WHERE query_kind = 'Insert'")
    inserts = [found[1] for (text,) in rows if (found := _INSERT.search(text))]
    if filled := [
        table.name
        for table in tables
        if table.database == ANALYTICS and any(table.path == name.replace("`", "") for name in inserts)
    ]:
        return filled
    unfinished = [table.name for table in tables if _UNFINISHED.search(table.name)]
    for _ in range(_LOOKS if unfinished else 0):
        rows = target.query("SELECT query FROM system.processes WHERE position(query, '__dbt_') > 0")
        if filled := [name for name in unfinished if any(name in text for (text,) in rows)]:
            return filled
        time.sleep(_LOOK_S)
    return []


def _hide_small_groups(target: clickhouse.Session, name: str, condition: str) -> None:
    try:
        small_groups.hide_small_groups(target, name, condition)
    except WarehouseError as error:
        # dbt has dropped it meanwhile.
        if UNKNOWN_TABLE not in str(error):
            raise


def _remove(target: clickhouse.Session, path: str, condition: str) -> int:
    """Remove the users' rows from a table; returns how many there were."""
    try:
        ((count,),) = target.query(f"SELECT count() FROM {path} WHERE {condition}")  # noqa: S608
        if not count:
            return 0
        keep_old_parts_briefly(target, path)
        target.command(f"ALTER TABLE {path} DELETE WHERE {condition} SETTINGS mutations_sync = 2")
    except WarehouseError as error:
        if UNKNOWN_TABLE not in str(error):
            raise
        return 0
    _log.info("rows_erased", table=path, rows=count)
    return int(count)
