"""Change capture in the source: where its history stands, what went away, and what its ledgers add up to."""

from dataclasses import dataclass
from typing import BinaryIO

from dataflix_elt.errors import CursorVoidError, SchemaDriftError
from dataflix_elt.source import Snapshot
from dataflix_elt.tables import SOURCE_SCHEMA, Table

_TRACKED = f"{SOURCE_SCHEMA}._tracked"
_DELETIONS = f"{SOURCE_SCHEMA}._deletions"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a snapshot stands in a cluster's history.

    Attributes:
        system_identifier: of the cluster, given by initdb.
        timeline: another one after each recovery to a point in time; 0 on a standby.
        epoch: how often the 32-bit transaction ids have turned around.
        database_oid: of the database in the cluster.
        xmin: the oldest transaction that was still open: all below are in the snapshot or were rolled back.
        is_standby: whether the cluster only follows another one.
    """

    system_identifier: str
    timeline: int
    epoch: int
    database_oid: int
    xmin: int
    is_standby: bool


@dataclass(frozen=True, slots=True)
class Tracking:
    """How the changes of a table are captured.

    Attributes:
        tracking_id: another one each time that capturing began anew.
        complete_from: deletions of this transaction and of later ones are all kept.
        rows: the ledger's sum of rows added and taken away.
        checksum: the ledger's sum of hashes of key and `_changed_in`.
    """

    tracking_id: str
    complete_from: int
    rows: int
    checksum: int


def position(source: Snapshot) -> Position:
    """Ask the source where it stands."""
    # A WAL file's name begins with the timeline. Right after a promotion the control file has the old one.
    timeline = "('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint"
    identifier, walked, xmin, oid, standby = source.session.row(
        "SELECT (SELECT system_identifier::text FROM pg_control_system()),"  # noqa: S608
        f" CASE WHEN pg_is_in_recovery() THEN 0 ELSE {timeline} END,"
        " pg_snapshot_xmin(pg_current_snapshot())::text,"
        " (SELECT oid::bigint FROM pg_database WHERE datname = current_database()), pg_is_in_recovery()"
    )
    return Position(identifier, int(walked), int(xmin) >> 32, int(oid), int(xmin), bool(standby))


def tracking(source: Snapshot, table: Table) -> Tracking | None:
    """Return how a table's changes are captured; None when they are not.

    Raises:
        SchemaDriftError: the views of the change capture are those of an older version.
    """
    is_captured, is_current = source.session.row(
        "SELECT to_regclass(%s) IS NOT NULL, EXISTS (SELECT FROM pg_attribute"
        " WHERE attrelid = to_regclass(%s) AND attname = 'last_xid' AND NOT attisdropped)",
        (_TRACKED, _DELETIONS),
    )
    if not is_captured:
        return None
    if not is_current:
        raise SchemaDriftError(
            f"{_DELETIONS} in {source.session.address} has no column last_xid: an older version made it. "
            "Run postgres/init/02_change_capture.sql again; no row needs to be loaded again."
        )
    rows = source.session.rows(
        "SELECT tracking_id::text, complete_from::text, ledger_rows, ledger_checksum"  # noqa: S608
        f" FROM {_TRACKED} WHERE table_name = %s",
        (table.name,),
    )
    if not rows:
        return None
    ((identifier, complete_from, count, checksum),) = rows
    return Tracking(identifier, int(complete_from), int(count), int(checksum))


def was_truncated(source: Snapshot, table: Table, since: int) -> bool:
    """Say whether all rows were taken away at once."""
    query = (
        f"SELECT EXISTS (SELECT FROM {_DELETIONS}"  # noqa: S608
        f" WHERE table_name = %s AND last_xid >= '{since}'::xid8 AND row_key IS NULL)"
    )
    return bool(source.session.row(query, (table.name,))[0])


def count_deleted(source: Snapshot, table: Table, since: int) -> int:
    """Count the keys that went away and have not come back."""
    return int(source.session.row(f"SELECT count(*) FROM ({_deleted(table, since)}) AS gone")[0])  # noqa: S608


def copy_deleted(source: Snapshot, table: Table, sink: BinaryIO, since: int) -> None:
    """Write these keys to `sink` as CSV, each followed by 1."""
    source.session.copy(f"SELECT gone.*, 1 FROM ({_deleted(table, since)}) AS gone", sink)  # noqa: S608


def _deleted(table: Table, since: int) -> str:
    keys = ", ".join(
        f"(row_key[{place}])::{column.kind.source_type} AS {column.name}"
        for place, column in enumerate(table.key_columns, 1)
    )
    same = " AND ".join(f"there.{name} = gone.{name}" for name in table.key)
    # A subquery in the list of columns is answered by the key's index; NOT EXISTS would become a join, for
    # which a view with a security barrier is read whole.
    return (
        f"SELECT gone.* FROM (SELECT DISTINCT {keys} FROM {_DELETIONS}"  # noqa: S608
        f" WHERE table_name = '{table.name}' AND last_xid >= '{since}'::xid8 AND row_key IS NOT NULL)"
        f" AS gone WHERE (SELECT true FROM {table.source} AS there WHERE {same}) IS NULL"
    )


def require_same_history(table: str, recorded: Position, now: Position, repair: str) -> None:
    """Check that a source goes on where it was left.

    Raises:
        CursorVoidError: it is another one, was restored, is a standby, or its transaction ids began anew.
    """
    problems = []
    if now.is_standby:
        problems.append("it is a standby, whose snapshots miss open transactions")
    elif recorded.timeline != now.timeline:
        problems.append(f"its timeline is {now.timeline}, and was {recorded.timeline}: it was restored")
    for what, before, after in (
        ("system identifier", recorded.system_identifier, now.system_identifier),
        ("database's oid", recorded.database_oid, now.database_oid),
        ("epoch of transaction ids", recorded.epoch, now.epoch),
    ):
        if before != after:
            problems.append(f"its {what} is {after}, and was {before}")
    if not problems and now.xmin < recorded.xmin:
        problems.append(f"its transaction ids went back, from {recorded.xmin} to {now.xmin}")
    if problems:
        raise CursorVoidError(
            f"What was carried over of {table} so far says nothing about this Postgres: "
            f"{'; '.join(problems)}. Nothing was loaded. Load it whole: {repair}"
        )
