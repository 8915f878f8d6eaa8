"""Names of the tables beside a raw table: the one a load fills, and the one that was put aside."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

# A query that resolved the old table before the swap may still open it; the longest dashboard query is far
# shorter than this. Dropping at once has made running queries fail.
RETIRED_GRACE = timedelta(minutes=10)

_STAMP = "%Y%m%dT%H%M%S"
_NAME = re.compile(
    r"(?P<table>\w+?)__(?P<role>staging|retired)_(?P<stamp>\d{8}T\d{6})_(?P<owner>[0-9a-f]{12})"
)


@dataclass(frozen=True, slots=True)
class SideTable:
    """A table beside a raw table.

    Attributes:
        role: "staging" while it is filled, "retired" once it was put aside: swapped out, or left behind.
        since: when it got that role.
        owner: 12 hexadecimal digits that tell one try of one run from every other.
    """

    table: str
    role: str
    since: datetime
    owner: str

    @property
    def name(self) -> str:
        """The name in ClickHouse."""
        return f"{self.table}__{self.role}_{self.since.strftime(_STAMP)}_{self.owner}"

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """Return what a name says; None for a name that is not of this form."""
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        since = datetime.strptime(match["stamp"], _STAMP).replace(tzinfo=UTC)
        return cls(match["table"], match["role"], since, match["owner"])

    def is_leftover(self, now: datetime) -> bool:
        """Say whether it was put aside so long ago that nobody can still be using it."""
        # A clock that was set back since makes the time negative; it must not keep a table for years.
        return self.role == "retired" and abs(now - self.since) >= RETIRED_GRACE


def owner_of(run_id: str, attempt: int, started_at: datetime) -> str:
    """Return the owner's mark: two tries, or one try run twice, differ."""
    text = f"{run_id}\n{attempt}\n{started_at.isoformat()}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]
