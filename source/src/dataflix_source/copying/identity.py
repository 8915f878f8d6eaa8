"""Where a source stands: which database it is, and at which moment of its history."""

from dataclasses import dataclass
from datetime import datetime

from dataflix_source.client import Session


@dataclass(frozen=True, slots=True)
class Identity:
    """Which database it is.

    Attributes:
        system_identifier: of the cluster, chosen by initdb; None if the server does not say it.
    """

    system_identifier: str | None
    database_oid: int
    database_name: str

    def __str__(self) -> str:
        cluster = self.system_identifier or "unknown"
        return f"database {self.database_name} (oid {self.database_oid}) of cluster {cluster}"


@dataclass(frozen=True, slots=True)
class Position:
    """A moment of a source.

    Attributes:
        timeline: changes when the cluster is restored or a standby takes over; None on a standby.
        xmin: the oldest transaction that was open; all before it are over.
        now: the source's clock.
        is_standby: whether nothing can be written there.
    """

    identity: Identity
    timeline: int | None
    xmin: int
    now: datetime
    is_standby: bool


def position(session: Session) -> Position:
    """Return where the snapshot stands."""
    # A managed server may keep its control file to itself.
    may_identify = session.value("SELECT has_function_privilege('pg_control_system()', 'EXECUTE')")
    system = (
        session.value("SELECT system_identifier::text FROM pg_control_system()") if may_identify else None
    )
    # A WAL file's name begins with the timeline. A standby writes none.
    timeline = "('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint"
    oid, name, xmin, now, standby, number = session.row(
        "SELECT (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),"
        " current_database()::text,"
        " pg_snapshot_xmin(pg_current_snapshot())::text, now(), pg_is_in_recovery(),"
        f" CASE WHEN NOT pg_is_in_recovery() THEN {timeline} END"
    )
    return Position(Identity(system, oid, name), number, int(xmin), now, standby)
