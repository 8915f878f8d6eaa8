"""Removes deleted users from the warehouse, and says so only once nothing of them is found any more.

A mutation rewrites the parts of a table that hold a person's rows, wherever they are: in versions that newer
ones have replaced, in deletions (which have the key of what they removed), in tables that loads have put
aside. The old parts then stay on the disk for a while, and so do dropped tables; the erasure waits for both.
The users' ids are in a table while this runs and never in a statement, because ClickHouse keeps statements,
too.

A new user may have the id of an erased one. In `raw`, rows of transactions before the one that deleted the
erased user are removed, and the others stay. A table of `analytics` has the new user's rows only if it was
created after the last load, by the warehouse's clock; otherwise it has the erased user's.
"""

import csv
import io
import logging
import re
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from dataflix_elt.clients import clickhouse, postgres
from dataflix_elt.erasure.disk_scan import ScanResult, scan
from dataflix_elt.erasure.pending_deletes import ANALYTICS, wait_for_pending_deletes
from dataflix_elt.errors import ErasureIncompleteError, SchemaDriftError, WarehouseError
from dataflix_elt.log import EventLog
from dataflix_elt.settings import SourceSettings, WarehouseSettings
from dataflix_elt.tables import LAST_XID, SOURCE_SCHEMA, TABLE_NAMES, TABLES, table_named
from dataflix_elt.warehouse.warehouse import Warehouse

_log = EventLog(logging.getLogger(__name__))

_PREFIX = "erasing__"
# The new user of an id has not been loaded: no table of analytics is newer than this.
_NEVER = datetime(2200, 1, 1, tzinfo=UTC)
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
    """An erasure that was requested before this run began.

    Attributes:
        erasure_id: its number.
        user_id: the user.
        deleted_in: transaction of the source that deleted the user.
        is_id_in_use: a new user has the same id.
    """

    erasure_id: int
    user_id: int
    deleted_in: int
    is_id_in_use: bool


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """What to search the files for.

    Attributes:
        by_user: of each erased user.
        in_use: those that another user has now.
    """

    by_user: dict[int, set[str]]
    in_use: set[str]

    @property
    def gone(self) -> list[str]:
        """Those that no file may contain."""
        return sorted(set().union(*self.by_user.values()) - self.in_use)


class WarehouseTable(NamedTuple):
    """A table under its present name; a swap gives it another name.

    Attributes:
        database: raw or analytics.
        name: of the table.
        uuid: stays.
        created: when it was created, s since 1970.
        is_raw: its rows have the load's metadata.
    """

    database: str
    name: str
    uuid: str
    created: int
    is_raw: bool

    @property
    def path(self) -> str:
        """The name with that of the database."""
        return f"{self.database}.{self.name}"


@dataclass(frozen=True, slots=True)
class ErasureResult:
    """What a run did.

    Attributes:
        erasures: their ids.
        removed: rows by table, in all versions together.
        searched_tables: whose rows were looked for.
        scanned_bytes: of the warehouse's files, unpacked; None if they are out of reach.
        scanned_files: number of these files; None if they are out of reach.
        seconds: from start to end.
    """

    erasures: list[int]
    removed: dict[str, int] = field(default_factory=dict)
    searched_tables: list[str] = field(default_factory=list)
    scanned_bytes: int | None = None
    scanned_files: int | None = None
    seconds: float = 0.0


def erase(
    source: SourceSettings, warehouse: WarehouseSettings, data: Path | None, *, wait_s: float = _WAIT_S
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
    searched: list[str] = []
    scanned = None
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
            with _conditions(records, target, pending) as conditions:
                pseudonyms = _pseudonyms(records, target, pending, conditions)
                if data is not None:
                    _require_pseudonyms(pending, pseudonyms)
                removed, searched = _remove_everywhere(target, conditions)
                mutated = {(database, name) for database, name in (path.split(".") for path in removed)}
                wait_for_pending_deletes(target, mutated, wait_s)
                scanned = None if data is None else _require_clean_files(target, data, pseudonyms)
            evidence = _Evidence(sum(removed.values()), searched, scanned, conditions.feedback_deletions)
            _record_verified(records, pending, evidence)
    result = ErasureResult(
        erasures=[erasure.erasure_id for erasure in pending],
        removed=removed,
        searched_tables=searched,
        scanned_bytes=scanned.bytes if scanned else None,
        scanned_files=scanned.files if scanned else None,
        seconds=round(time.monotonic() - began, 3),
    )
    _log.info(
        "erasure_finished",
        erasures=len(result.erasures),
        rows=sum(removed.values()),
        tables=",".join(sorted(removed)),
        scanned_bytes=result.scanned_bytes,
        seconds=result.seconds,
    )
    return result


def _pending(records: postgres.Session) -> list[PendingErasure]:
    view = f"{SOURCE_SCHEMA}._erasures"
    if records.row("SELECT to_regclass(%s) IS NULL", (view,))[0]:
        return []
    is_current = records.row(
        f"SELECT to_regprocedure('{SOURCE_SCHEMA}._erasures_verified"
        "(bigint[], bigint, bigint, bigint, text[], bigint[])') IS NOT NULL"
    )[0]
    if not is_current:
        raise SchemaDriftError(
            f"An older version made {view}. Run postgres/init/04_pseudonyms.sql "
            "and 10_erasures.sql again, as ./run.sh does."
        )
    rows = records.rows(
        f"SELECT erasure_id, user_id, deleted_in::text, is_id_in_use FROM {view} ORDER BY erasure_id"  # noqa: S608
    )
    return [
        PendingErasure(int(erasure_id), int(user_id), int(deleted_in), bool(is_id_in_use))
        for erasure_id, user_id, deleted_in, is_id_in_use in rows
    ]


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What was done and seen.

    Attributes:
        removed_rows: in all tables.
        searched_tables: that have none of the users' rows.
        scanned: the files; None if they are out of reach.
        feedback_deletions: ids of the source's deletions that no load needs any more.
    """

    removed_rows: int
    searched_tables: list[str]
    scanned: ScanResult | None
    feedback_deletions: list[int]


def _record_verified(records: postgres.Session, pending: list[PendingErasure], evidence: _Evidence) -> None:
    scanned = evidence.scanned
    records.execute("SET default_transaction_read_only = off")
    records.rows(
        f"SELECT {SOURCE_SCHEMA}._erasures_verified(%s::bigint[], %s, %s, %s, %s, %s::bigint[])",
        (
            *([erasure.erasure_id for erasure in pending], evidence.removed_rows),
            *((scanned.bytes, scanned.files) if scanned else (None, None)),
            *(evidence.searched_tables, evidence.feedback_deletions),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Conditions:
    """Which rows of a table to remove.

    Attributes:
        ids: table with the users' ids, and how their rows differ from those of a new user with the same id.
        feedback: table with the keys of deleted feedback that a load may not have seen as deleted.
        feedback_deletions: ids of the source's rows of these.
    """

    ids: str
    feedback: str
    feedback_deletions: list[int]

    def raw(self, path: str) -> str:
        """Return the condition for a table with the load's metadata, of this path."""
        return (
            f"user_id IN (SELECT erased FROM {self.ids} WHERE NOT is_id_in_use) OR (user_id, {LAST_XID.name})"  # noqa: S608
            f" IN (SELECT r.user_id, r.{LAST_XID.name} FROM {path} AS r"
            f" INNER JOIN {self.ids} AS i ON r.user_id = i.erased"
            f" WHERE i.is_id_in_use AND r.{LAST_XID.name} < i.deleted_in)"
        )

    def of(self, table: WarehouseTable) -> str:
        """Return the condition for a table."""
        if not table.is_raw:
            # ClickHouse rounds the time of creation down to a second.
            created = f"toDateTime({table.created})"
            # A table of the future is from before the clock was set back.
            is_older = f"loaded_at >= {created} OR {created} > now()"
            return f"user_id IN (SELECT erased FROM {self.ids} WHERE {is_older})"  # noqa: S608
        condition = self.raw(table.path)
        # A copy that somebody made under another name is no table of ours.
        loaded = table.name.split("__")[0]
        if loaded in TABLE_NAMES:
            condition += f" OR {self.deleted(table.path, table_named(loaded).key)}"
        return condition

    def deleted(self, path: str, keys: tuple[str, ...]) -> str:
        """Return the condition for all versions of rows that were deleted, of users whose id is in use.

        A deletion has the key alone and not the transaction, so it may be the new user's. It hides earlier
        versions, which must go together with it. The key of feedback does not even say whose it was, and the
        person may have lost feedback long before, with a movie for instance: all deleted feedback goes.
        """
        whose = (
            f" WHERE user_id IN (SELECT erased FROM {self.ids} WHERE is_id_in_use)"  # noqa: S608
            if "user_id" in keys
            else ""
        )
        key = ", ".join(keys)
        condition = (
            f"({key}) IN (SELECT {key} FROM {path}{whose} GROUP BY {key}"  # noqa: S608
            " HAVING argMax(_is_deleted, _version) = 1)"
        )
        if "user_id" not in keys:
            condition += f" OR ({key}) IN (SELECT {key} FROM {self.feedback})"  # noqa: S608
        return condition


@contextmanager
def _conditions(
    records: postgres.Session, target: clickhouse.Session, pending: list[PendingErasure]
) -> Iterator[_Conditions]:
    """Create the tables that say what to remove, and drop them at the end."""
    _drop_tables_of_killed_runs(target)
    deletions = records.rows(
        "SELECT deletion_id, recommendation_id, movie_id, event, is_back"  # noqa: S608
        f" FROM {SOURCE_SCHEMA}._erased_feedback"
    )
    feedback_key = {column.name: column.warehouse_type for column in table_named("feedback").key_columns}
    # No column is called user_id, so that these tables do not count as ones with rows of people.
    ids = {"erased": "Int64", "deleted_in": "UInt64", "is_id_in_use": "Bool"}
    with ExitStack() as tables:
        first = tables.enter_context(
            _table(target, ids, ((p.user_id, p.deleted_in, int(p.is_id_in_use)) for p in pending))
        )
        loaded_at = _loaded_at(target, first, [p for p in pending if p.is_id_in_use])
        second = tables.enter_context(
            _table(
                target,
                ids | {"loaded_at": "DateTime64(6, 'UTC')"},
                (
                    (
                        *(p.user_id, p.deleted_in, int(p.is_id_in_use)),
                        loaded_at.get(p.user_id, _NEVER).strftime("%Y-%m-%d %H:%M:%S.%f"),
                    )
                    for p in pending
                ),
            )
        )
        gone = {(list_id, movie, event) for _, list_id, movie, event, is_back in deletions if not is_back}
        feedback = tables.enter_context(_table(target, feedback_key, sorted(gone)))
        yield _Conditions(second, feedback, [int(row[0]) for row in deletions])


def _loaded_at(target: clickhouse.Session, ids: str, pending: list[PendingErasure]) -> dict[int, datetime]:
    """Return when all tables were loaded last, by id of each new user whose old rows are in none."""
    if not pending:
        return {}
    old: set[int] = set()
    for table in TABLES:
        if "user_id" in table.column_names:
            rows = target.query(
                f"SELECT DISTINCT r.user_id FROM {target.path(table.name)} AS r FINAL"  # noqa: S608
                f" INNER JOIN {ids} AS i ON r.user_id = i.erased"
                f" WHERE i.is_id_in_use AND r.{LAST_XID.name} < i.deleted_in"
            )
            old.update(int(user_id) for (user_id,) in rows)
    # Not _extracted_at: the loader's clock may be behind that of the warehouse, which dates its tables.
    loaded_at: dict[str, datetime] = dict(
        target.query(
            f"SELECT table_name, max(recorded_at) FROM {target.path('load_cursors')} GROUP BY table_name"  # noqa: S608
        )
    )
    names = [table.name for table in TABLES if "user_id" in table.column_names]
    if not all(name in loaded_at for name in names):
        return {}
    last = max(loaded_at[name] for name in names).replace(tzinfo=UTC)
    rows = target.query(
        f"SELECT DISTINCT r.user_id FROM {target.path('users')} AS r"  # noqa: S608
        f" INNER JOIN {ids} AS i ON r.user_id = i.erased"
        f" WHERE i.is_id_in_use AND r.{LAST_XID.name} >= i.deleted_in"
    )
    return {int(user_id): last for (user_id,) in rows if int(user_id) not in old}


def _drop_tables_of_killed_runs(target: clickhouse.Session) -> None:
    for (name,) in target.query(
        "SELECT name FROM system.tables"
        " WHERE database = {database:String} AND startsWith(name, {prefix:String})",
        database=target.database,
        prefix=_PREFIX,
    ):
        target.command(f"DROP TABLE IF EXISTS {target.path(name)} SYNC")


@contextmanager
def _table(
    target: clickhouse.Session, columns: Mapping[str, str], rows: Iterable[tuple[object, ...]]
) -> Iterator[str]:
    """Create a table of these columns, by their types, and rows, and drop it at the end; gives its path."""
    name = _PREFIX + uuid.uuid4().hex[:12]
    definitions = ", ".join(f"{column} {kind}" for column, kind in columns.items())
    target.command(f"CREATE TABLE {target.path(name)} ({definitions}) ENGINE = MergeTree ORDER BY tuple()")
    try:
        if lines := list(map(_csv, rows)):
            target.insert(name, tuple(columns), lines)
        yield target.path(name)
    finally:
        target.command(f"DROP TABLE IF EXISTS {target.path(name)} SYNC")


def _csv(row: tuple[object, ...]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(row)
    return line.getvalue().encode()


def _pseudonyms(
    records: postgres.Session,
    target: clickhouse.Session,
    pending: list[PendingErasure],
    conditions: _Conditions,
) -> Pseudonyms:
    """Return what the source keeps of the erased users until they are verified, and what the warehouse has.

    The warehouse alone would not do: a first try, or a load, removes the users from it.
    """
    users = {erasure.erasure_id: erasure.user_id for erasure in pending}
    by_user: dict[int, set[str]] = {user_id: set() for user_id in users.values()}
    in_use = set()
    for erasure_id, pseudonym, is_in_use in records.rows(
        f"SELECT erasure_id, pseudonym, is_in_use FROM {SOURCE_SCHEMA}._erased_pseudonyms"  # noqa: S608
        " WHERE erasure_id = ANY(%s)",
        (list(users),),
    ):
        by_user[users[erasure_id]].add(pseudonym)
        if is_in_use:
            in_use.add(pseudonym)
    path = target.path("users")
    for user_id, *pseudonyms in target.query(
        f"SELECT DISTINCT user_id, username_hash, email_hash FROM {path} WHERE {conditions.raw(path)}"  # noqa: S608
    ):
        by_user[int(user_id)].update(filter(None, pseudonyms))
    return Pseudonyms(by_user, in_use)


def _require_pseudonyms(pending: list[PendingErasure], pseudonyms: Pseudonyms) -> None:
    """Check that there is something to search for, for each user.

    Raises:
        ErasureIncompleteError: nothing says what to search for.
    """
    unknown = [str(p.erasure_id) for p in pending if not pseudonyms.by_user[p.user_id]]
    if unknown:
        raise ErasureIncompleteError(
            f"Nothing says which pseudonyms the users of erasures {', '.join(unknown)} had, so no file can "
            "be searched for them: they were requested before Postgres kept the pseudonyms. Nothing was "
            "marked as verified. To remove the rows and record that no file was searched: "
            "elt erase --without-search"
        )


def _remove_everywhere(
    target: clickhouse.Session, conditions: _Conditions
) -> tuple[dict[str, int], list[str]]:
    """Remove the users' rows from all tables.

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


def _require_clean_files(target: clickhouse.Session, data: Path, pseudonyms: Pseudonyms) -> ScanResult:
    """Search ClickHouse's files for the pseudonyms; returns what was searched.

    A pseudonym that another user has now may be in the parts of tables, whose rows were checked, and in no
    other file.

    Raises:
        ErasureIncompleteError: a file has one of them, or cannot be searched.
    """
    parts = _parts(target)
    result = scan(data, [text.encode() for text in pseudonyms.gone])
    _require_none(data, result, result.found)
    # Merges remove some meanwhile.
    _require_parts(data, result, parts & _parts(target))
    if pseudonyms.in_use:
        parts = _parts(target)
        shared = scan(data, [text.encode() for text in sorted(pseudonyms.in_use)])
        parts |= _parts(target)
        strangers = [path for path in shared.found if not _is_in(path, parts)]
        _require_none(data, shared, strangers)
        if shared.bytes > result.bytes:
            return shared
    return result


def _require_none(data: Path, result: ScanResult, found: list[Path]) -> None:
    if found or result.unread:
        what = "contain pseudonyms of erased users" if found else "cannot be searched"
        files = ", ".join(str(path.relative_to(data)) for path in (found or result.unread)[:5])
        raise ErasureIncompleteError(f"Files of ClickHouse {what}: {files}. Nothing was marked as verified.")


def _require_parts(data: Path, result: ScanResult, parts: set[tuple[str, str]]) -> None:
    """Check that the folder is the one that ClickHouse writes: an empty one, a copy or a part of it is clean.

    Raises:
        ErasureIncompleteError: files of ClickHouse's tables are elsewhere.
    """
    missing = parts - result.folders
    if missing or not result.files:
        raise ErasureIncompleteError(
            f"{data} has the files of {len(parts) - len(missing)} of the {len(parts)} parts of ClickHouse's "
            "tables, so it is not the folder that ClickHouse writes. Nothing was marked as verified. Name "
            "that folder in DATAFLIX_CLICKHOUSE_DATA_DIR. If it is on another machine: elt erase "
            "--without-search, which records that no file was searched"
        )


def _parts(target: clickhouse.Session) -> set[tuple[str, str]]:
    """Return the folders of all parts that the server knows: that of the table, and that of the part."""
    rows = target.query(
        "SELECT path FROM system.parts WHERE database IN ({raw:String}, {analytics:String})",
        raw=target.database,
        analytics=ANALYTICS,
    )
    return {(part.parent.name, part.name) for part in (Path(str(path)) for (path,) in rows)}


def _is_in(file: Path, parts: set[tuple[str, str]]) -> bool:
    # Frozen and detached parts have the same names, in other folders.
    return (file.parent.parent.name, file.parent.name) in parts and "shadow" not in file.parts


def _drop_stale_staging_tables(warehouse: Warehouse) -> None:
    """Drop what killed loads have filled; what they were still sending then finds no table."""
    for table in TABLES:
        for staging in warehouse.fence_stale_loads(table, datetime.now(UTC)):
            warehouse.drop(staging)


def _tables(target: clickhouse.Session, created: dict[str, int]) -> list[WarehouseTable]:
    """Return the tables that have files of their own and a column with the user's id.

    Args:
        target: the warehouse.
        created: gets when each table was created, by uuid, unless it has that.
    """
    rows = target.query(
        "SELECT t.database, t.name, toString(t.uuid), toUnixTimestamp(t.metadata_modification_time),"  # noqa: S608
        f" t.database = {{raw:String}} AND max(c.name = '{LAST_XID.name}')"
        " FROM system.tables AS t"
        " INNER JOIN system.columns AS c ON t.database = c.database AND t.name = c.table"
        " WHERE t.database IN ({raw:String}, {analytics:String})"
        " AND endsWith(t.engine, 'MergeTree')"
        " GROUP BY t.database, t.name, t.uuid, t.metadata_modification_time"
        " HAVING max(c.name = 'user_id') ORDER BY t.database DESC, t.name",
        raw=target.database,
        analytics=ANALYTICS,
    )
    return [
        WarehouseTable(
            str(database), str(name), str(identifier), created.setdefault(identifier, at), bool(is_raw)
        )
        for database, name, identifier, at, is_raw in rows
    ]


def _being_filled(target: clickhouse.Session, tables: list[WarehouseTable]) -> list[str]:
    """Return the tables that dbt is filling. No statement works on one that a failed build has left."""
    unfinished = [table.name for table in tables if _UNFINISHED.search(table.name)]
    for _ in range(_LOOKS if unfinished else 0):
        rows = target.query("SELECT query FROM system.processes WHERE position(query, '__dbt_') > 0")
        if filled := [name for name in unfinished if any(name in text for (text,) in rows)]:
            return filled
        time.sleep(_LOOK_S)
    return []


def _remove(target: clickhouse.Session, path: str, condition: str) -> int:
    """Remove the users' rows from a table; returns how many there were."""
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
