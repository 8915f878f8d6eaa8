"""What the source says of the erasures that wait, and what it is told of those that are done."""

from dataclasses import dataclass

from dataflix_elt.clients import postgres
from dataflix_elt.erasure.disk_scan import ScanResult
from dataflix_elt.errors import SchemaDriftError
from dataflix_elt.tables import SOURCE_SCHEMA


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


def pending_erasures(records: postgres.Session) -> list[PendingErasure]:
    """Return the erasures that wait.

    Raises:
        SchemaDriftError: the source has the functions of an older version.
    """
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
class Evidence:
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


def record_verified(records: postgres.Session, pending: list[PendingErasure], evidence: Evidence) -> None:
    """Tell the source that nothing is left of the users, and how that was found out."""
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
