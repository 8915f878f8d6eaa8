"""Removes from the warehouse who asked to be forgotten, and says so only when nothing is found any more.

A mutation rewrites the parts of a table that hold a person's rows, wherever they are: in versions that newer
ones have replaced, in deletions (which tell the key of what they took away), in tables that loads have put
aside. The old parts then stay on the disk for a time, and so do tables that were dropped; both are waited
for. Which persons they are stands in a table while this runs and never in a statement: those are kept, too.
"""

import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dataflix_elt import postgres
from dataflix_elt.clickhouse import Session, session
from dataflix_elt.disk_scan import scan
from dataflix_elt.errors import ErasureIncompleteError, WarehouseError
from dataflix_elt.log import event
from dataflix_elt.settings import SourceSettings, WarehouseSettings
from dataflix_elt.tables import SOURCE_SCHEMA, TABLES

_log = logging.getLogger(__name__)

ANALYTICS = "analytics"
_LIST = "erasing__"
# Tables of dbt and the trainer come and go; when a pass finds nothing more, it was the last.
_PASSES = 5
# Our own server needs ten seconds for old parts and dropped tables; another may take eight minutes for each.
_WAIT_S = 540
_POLL_S = 1.0
# ClickHouse's answer when a table has gone since it was listed.
_UNKNOWN_TABLE = "(code 60)"
# What dbt calls a table that it is filling.
_UNFINISHED = "match(name, '__dbt_(backup|new_data|tmp)')"

Names = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Pending:
    """One erasure that was asked for before this run began."""

    erasure_id: int
    user_id: int


@dataclass(slots=True)
class Erased:
    """What a run did.

    Attributes:
        erasures: their ids.
        removed: rows by table, in all versions together.
        scanned_bytes: of the warehouse's files, unpacked; None when they are out of reach.
        seconds: from start to end.
    """

    erasures: list[int]
    removed: dict[str, int] = field(default_factory=dict)
    scanned_bytes: int | None = None
    seconds: float = 0.0


def erase(
    source: SourceSettings, warehouse: WarehouseSettings, data: Path | None, wait_s: float = _WAIT_S
) -> Erased:
    """Remove everybody from the warehouse who has been deleted in the source, and verify it there.

    Erasures that are asked for while it runs are left to the next run. Nothing else may be building tables
    from the raw ones at the same time: in the pipeline, this is the last step.

    Args:
        data: ClickHouse's data folder, to be searched for the pseudonyms; None when it is on another machine.
        wait_s: how long to wait for files to be deleted, s.

    Raises:
        ErasureIncompleteError: something is left; nothing was marked as verified, a later run tries again.
        TransientError: a service was away.
        SourceError, WarehouseError: a statement failed.
    """
    began = time.monotonic()
    with postgres.session(source) as asked, session(warehouse) as target:
        asked.take_turn("erasure")
        pending = _pending(asked)
        done = Erased([one.erasure_id for one in pending])
        if pending:
            # A load that had read a person's rows before they were deleted is over before we begin, and the
            # next one begins to read when we are done.
            for table in TABLES:
                asked.take_turn(table.name)
            with _listed(target, pending) as listed:
                _remove_and_verify(target, listed, done, data, wait_s)
            for one in pending:
                _write_down(asked, one, done)
        done.seconds = round(time.monotonic() - began, 3)
    event(
        _log,
        "erasure_finished",
        erasures=len(done.erasures),
        rows=sum(done.removed.values()),
        tables=",".join(sorted(done.removed)),
        scanned_bytes=done.scanned_bytes,
        seconds=done.seconds,
    )
    return done


def _pending(asked: postgres.Session) -> list[Pending]:
    view = f"{SOURCE_SCHEMA}._erasures"
    if asked.row("SELECT to_regclass(%s) IS NULL", (view,))[0]:
        return []
    rows = asked.rows(f"SELECT erasure_id, user_id FROM {view} ORDER BY erasure_id")  # noqa: S608
    return [Pending(int(erasure_id), int(user_id)) for erasure_id, user_id in rows]


def _write_down(asked: postgres.Session, one: Pending, done: Erased) -> None:
    asked.execute("SET default_transaction_read_only = off")
    asked.rows(
        f"SELECT {SOURCE_SCHEMA}._erasure_verified(%s, %s, %s)",
        (one.erasure_id, sum(done.removed.values()), done.scanned_bytes),
    )


@contextmanager
def _listed(target: Session, pending: list[Pending]) -> Iterator[str]:
    """Put the persons' ids into a table, and take it away at the end; what a kill left goes first."""
    for (name,) in target.query(
        "SELECT name FROM system.tables"
        " WHERE database = {database:String} AND startsWith(name, {prefix:String})",
        database=target.database,
        prefix=_LIST,
    ):
        target.command(f"DROP TABLE IF EXISTS {target.path(name)} SYNC")
    listed = _LIST + uuid.uuid4().hex[:12]
    # Named differently, so that nobody takes it for a table with a person's rows.
    target.command(f"CREATE TABLE {target.path(listed)} (erased Int64) ENGINE = MergeTree ORDER BY erased")
    try:
        target.insert(listed, ("erased",), (f"{one.user_id}\n".encode() for one in pending))
        yield target.path(listed)
    finally:
        target.command(f"DROP TABLE IF EXISTS {target.path(listed)} SYNC")


def _remove_and_verify(target: Session, listed: str, done: Erased, data: Path | None, wait_s: float) -> None:
    theirs = f"user_id IN (SELECT erased FROM {listed})"  # noqa: S608
    pseudonyms = [
        text
        for row in target.query(
            f"SELECT DISTINCT username_hash, email_hash FROM {target.path('users')} WHERE {theirs}"  # noqa: S608
        )
        for text in row
        if text
    ]
    touched: set[Names] = set()
    for _ in range(_PASSES):
        found = [names for names in _tables(target) if _remove(target, names, theirs, done)]
        touched.update(found)
        if not found:
            break
    else:
        raise ErasureIncompleteError(
            f"Rows of erased persons came back {_PASSES} times while they were removed: something is writing "
            "to the warehouse. Nothing was marked as verified; try again when the pipeline is over."
        )
    if unfinished := _unfinished(target):
        raise ErasureIncompleteError(
            f"Somebody is filling {', '.join(unfinished)}. Nothing was marked as verified; try again when "
            "the pipeline is over."
        )
    _wait_for_the_disk(target, touched, wait_s)
    if data is not None:
        result = scan(data, [text.encode() for text in pseudonyms])
        done.scanned_bytes = result.bytes
        if result.found or result.unread:
            what = "hold pseudonyms of erased persons" if result.found else "cannot be searched"
            files = ", ".join(str(path.relative_to(data)) for path in (result.found or result.unread)[:5])
            raise ErasureIncompleteError(
                f"Files of ClickHouse {what}: {files}. Nothing was marked as verified."
            )


def _tables(target: Session) -> list[Names]:
    """Return the tables with files of their own that say of which user a row is."""
    rows = target.query(
        "SELECT t.database, t.name FROM system.tables AS t INNER JOIN system.columns AS c"
        " ON t.database = c.database AND t.name = c.table"
        " WHERE t.database IN ({raw:String}, {analytics:String}) AND c.name = 'user_id'"
        " AND endsWith(t.engine, 'MergeTree') ORDER BY t.database DESC, t.name",
        raw=target.database,
        analytics=ANALYTICS,
    )
    return [(str(database), str(name)) for database, name in rows]


def _unfinished(target: Session) -> list[str]:
    rows = target.query(
        f"SELECT name FROM system.tables WHERE database = {{analytics:String}} AND {_UNFINISHED}",  # noqa: S608
        analytics=ANALYTICS,
    )
    return [str(name) for (name,) in rows]


def _remove(target: Session, names: Names, theirs: str, done: Erased) -> int:
    """Remove the persons' rows from a table; returns how many there were."""
    path = ".".join(names)
    try:
        ((count,),) = target.query(f"SELECT count() FROM {path} WHERE {theirs}")  # noqa: S608
        if not count:
            return 0
        target.command(f"ALTER TABLE {path} MODIFY SETTING old_parts_lifetime = 1")
        target.command(f"ALTER TABLE {path} DELETE WHERE {theirs} SETTINGS mutations_sync = 2")
        target.command(f"ALTER TABLE {path} RESET SETTING old_parts_lifetime")
    except WarehouseError as error:
        if _UNKNOWN_TABLE not in str(error):
            raise
        return 0
    done.removed[path] = done.removed.get(path, 0) + int(count)
    event(_log, "rows_erased", table=path, rows=count)
    return int(count)


def _wait_for_the_disk(target: Session, touched: set[Names], wait_s: float) -> None:
    """Wait until the parts that mutations have replaced, and the tables that were dropped, are deleted."""
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
