"""How the last copy ended: one that fails changes nothing else that would tell."""

from dataclasses import dataclass
from datetime import datetime

from dataflix_source.client import Session, own_transaction
from dataflix_source.settings import OwnSettings


@dataclass(frozen=True, slots=True)
class Attempt:
    """How the last copy ended.

    Attributes:
        problem: why it failed; None if it did not.
        failing_since: when the first one in a row failed.
    """

    ended_at: datetime
    problem: str | None
    failing_since: datetime | None


def record(settings: OwnSettings, problem: str | None) -> None:
    """Write how a copy ended, in a transaction of its own.

    Raises:
        DatabaseError: our own Postgres can't be used.
    """
    with own_transaction(settings) as own:
        own.execute(
            "INSERT INTO source.last_attempt AS a (ended_at, problem, failing_since)"
            " VALUES (now(), %s, CASE WHEN %s::text IS NOT NULL THEN now() END)"
            " ON CONFLICT (is_only_row) DO UPDATE SET ended_at = excluded.ended_at,"
            " problem = excluded.problem, failing_since = CASE WHEN excluded.problem IS NOT NULL"
            " THEN coalesce(a.failing_since, excluded.failing_since) END",
            (problem, problem),
        )


def read(own: Session) -> Attempt | None:
    """Return how the last copy ended; None before the first one."""
    rows = own.rows("SELECT ended_at, problem, failing_since FROM source.last_attempt")
    return Attempt(*rows[0]) if rows else None
