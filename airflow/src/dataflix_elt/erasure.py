"""Removes from the warehouse who asked to be forgotten, and says so only when nothing is found any more.

A mutation rewrites the parts of a table that hold a person's rows, wherever they are: in versions that newer
ones have replaced, in deletions (which tell the key of what they took away), in tables that loads have put
aside. The old parts then stay on the disk for a time, and so do tables that were dropped; both are waited
for. Which persons they are stands in a table while this runs and never in a statement: those are kept, too.
"""

import logging
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from dataflix_elt import postgres
from dataflix_elt.clickhouse import Session, session
from dataflix_elt.disk_scan import scan
from dataflix_elt.errors import ErasureIncompleteError, WarehouseError
from dataflix_elt.log import event
from dataflix_elt.remnants import ANALYTICS, Names, wait_for_the_disk
from dataflix_elt.settings import SourceSettings, WarehouseSettings
from dataflix_elt.tables import SOURCE_SCHEMA, TABLES
from dataflix_elt.warehouse import Warehouse

_log = logging.getLogger(__name__)

_LIST = "erasing__"
# Tables of dbt and the trainer come and go; a pass that finds nothing, with each in its place, is the last.
_PASSES = 5
# Our own server needs ten seconds for old parts and dropped tables; another may take eight minutes for each.
_WAIT_S = 540
# Between the statement that creates a table of dbt and the one that fills it are milliseconds.
_LOOKS = 3
_LOOK_S = 0.5
# ClickHouse's answer when a table has gone since it was listed.
_UNKNOWN_TABLE = "(code 60)"
# What dbt calls a table that it is filling.
_UNFINISHED = re.compile("__dbt_(backup|new_data|tmp)")

# Whoever writes people's lists holds this turn until they are published.
PUBLICATION = "publication"


@dataclass(frozen=True, slots=True)
class Pending:
    """One erasure that was asked for before this run began."""

    erasure_id: int
    user_id: int


class Place(NamedTuple):
    """A table under the name that it has at present; a swap gives it another one."""

    database: str
    name: str
    uuid: str


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

    Erasures that are asked for while it runs are left to the next run. Loads and publications that are under
    way are waited for, and later ones wait until this is over. A build by dbt is refused.

    Args:
        data: ClickHouse's data folder, to be searched for the pseudonyms; None when it is on another machine.
        wait_s: how long to wait for files to be deleted, s.

    Raises:
        ErasureIncompleteError: something is left, or dbt is building; nothing was marked as verified, a later
            run tries again.
        BusyError: a load, a publication or another erasure was still at work after 20 minutes.
        TransientError: a service was away.
        SourceError, WarehouseError: a statement failed.
    """
    began = time.monotonic()
    with postgres.session(source) as asked, session(warehouse) as target:
        asked.take_turn("erasure")
        pending = _pending(asked)
        done = Erased([one.erasure_id for one in pending])
        if pending:
            # Whoever had read a person's rows before they were deleted is done before we begin, and the next
            # one begins to read when we are done.
            asked.take_turn(PUBLICATION)
            for table in TABLES:
                asked.take_turn(table.name)
            _drop_of_the_dead(Warehouse(target))
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
        places = _tables(target)
        if filled := _being_filled(target, places):
            raise ErasureIncompleteError(
                f"dbt is filling {', '.join(filled)}. Nothing was marked as verified; try again when the "
                "pipeline is over."
            )
        found = [place[:2] for place in places if _remove(target, place[:2], theirs, done)]
        touched.update(found)
        # What changed its place meanwhile may have been looked at twice, and the other table never; and a
        # table that is new may be filled with rows that were read before they were removed.
        if not found and _tables(target) == places:
            break
    else:
        raise ErasureIncompleteError(
            f"Rows of erased persons came back, or tables changed their places, {_PASSES} times while they "
            "were removed: something is writing to the warehouse. Nothing was marked as verified; try again "
            "when the pipeline is over."
        )
    wait_for_the_disk(target, touched, wait_s)
    if data is not None:
        result = scan(data, [text.encode() for text in pseudonyms])
        done.scanned_bytes = result.bytes
        if result.found or result.unread:
            what = "hold pseudonyms of erased persons" if result.found else "cannot be searched"
            files = ", ".join(str(path.relative_to(data)) for path in (result.found or result.unread)[:5])
            raise ErasureIncompleteError(
                f"Files of ClickHouse {what}: {files}. Nothing was marked as verified."
            )


def _drop_of_the_dead(warehouse: Warehouse) -> None:
    """Drop what killed loads have filled; what they were still sending then has no place to go to."""
    for table in TABLES:
        for side in warehouse.shut_out_the_dead(table, datetime.now(UTC)):
            warehouse.drop(side)


def _tables(target: Session) -> list[Place]:
    """Return the tables with files of their own that say of which user a row is."""
    rows = target.query(
        "SELECT t.database, t.name, toString(t.uuid) FROM system.tables AS t"
        " INNER JOIN system.columns AS c ON t.database = c.database AND t.name = c.table"
        " WHERE t.database IN ({raw:String}, {analytics:String}) AND c.name = 'user_id'"
        " AND endsWith(t.engine, 'MergeTree') ORDER BY t.database DESC, t.name",
        raw=target.database,
        analytics=ANALYTICS,
    )
    return [Place(*map(str, row)) for row in rows]


def _being_filled(target: Session, places: list[Place]) -> list[str]:
    """Return the tables that dbt is filling; one that a failed build left has no statement at work on it."""
    unfinished = [place.name for place in places if _UNFINISHED.search(place.name)]
    for _ in range(_LOOKS if unfinished else 0):
        rows = target.query("SELECT query FROM system.processes WHERE position(query, '__dbt_') > 0")
        if filled := [name for name in unfinished if any(name in text for (text,) in rows)]:
            return filled
        time.sleep(_LOOK_S)
    return []


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
