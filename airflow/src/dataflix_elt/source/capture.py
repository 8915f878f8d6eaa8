"""Change capture in the source: its position in history, how a table is tracked, which keys were deleted."""

from dataclasses import dataclass

from dataflix_elt.errors import CursorInvalidError
from dataflix_elt.fingerprint import Fingerprint
from dataflix_elt.tables import SOURCE_SCHEMA, Table

TRACKED = f"{SOURCE_SCHEMA}._tracked"
DELETIONS = f"{SOURCE_SCHEMA}._deletions"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a snapshot stands in a cluster's history.

    Attributes:
        system_identifier: of the cluster; initdb chooses it.
        timeline: changes with each recovery to a point in time; 0 on a standby.
        epoch: how often the 32-bit transaction ids have wrapped around.
        database_oid: of the database in the cluster.
        xmin: the oldest transaction that was still open. All below are in the snapshot or were rolled back.
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
        tracking_id: changes each time that the capture starts again.
        complete_from: deletions by this transaction and by later ones are all kept.
        ledger: key fingerprint of the rows that statements added, less those that they removed.
    """

    tracking_id: str
    complete_from: int
    ledger: Fingerprint


def deleted_keys(table: Table, since: int) -> str:
    """Return the query for keys that transaction `since` or a later one deleted, and that did not return."""
    keys = ", ".join(
        f"(row_key[{place}])::{column.kind.source_type} AS {column.name}"
        for place, column in enumerate(table.key_columns, 1)
    )
    same = " AND ".join(f"present.{name} = deleted.{name}" for name in table.key)
    # The key's index answers a subquery in the WHERE clause row by row. NOT EXISTS would become a join, and a
    # join reads the whole of a view with a security barrier.
    return (
        f"SELECT deleted.* FROM (SELECT DISTINCT {keys} FROM {DELETIONS}"  # noqa: S608
        f" WHERE table_name = '{table.name}' AND last_xid >= '{since}'::xid8 AND row_key IS NOT NULL)"
        f" AS deleted WHERE (SELECT true FROM {table.source} AS present WHERE {same}) IS NULL"
    )


def require_same_history(table: str, recorded: Position, now: Position, full_load_command: str) -> None:
    """Check that a source continues the history that the cursor was recorded in.

    Args:
        table: its name, for the message.
        recorded: position of the last load.
        now: position of this one.
        full_load_command: what a person can type to load the table in full.

    Raises:
        CursorInvalidError: it is another cluster or database, was restored, is a standby, or its transaction
            ids started over.
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
        raise CursorInvalidError(
            f"The last load of {table} was from another Postgres, or from another state of it: "
            f"{'; '.join(problems)}. Nothing was loaded. Load the table in full: {full_load_command}"
        )
