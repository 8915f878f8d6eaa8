"""Tables next to a raw table: the one that a load fills, and the one that a load has put aside."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

# A query that resolved the old table before the swap may open it later. The longest dashboard query is far
# shorter than this. An immediate drop made running queries fail.
RETIRED_GRACE = timedelta(minutes=10)

_TIME = "%Y%m%dT%H%M%S"
_NAME = re.compile(
    r"(?P<table>\w+?)__(?P<role>staging|retired)_(?P<time>\d{8}T\d{6})_(?P<owner>[0-9a-f]{12})"
)


@dataclass(frozen=True, slots=True)
class StagingTable:
    """A table next to a raw table.

    Attributes:
        table: name of the raw table.
        role: "staging" while a load fills it; "retired" once it was swapped out, or its load was killed.
        since: when it got that role.
        owner: 12 hexadecimal digits that identify one try of one run.
    """

    table: str
    role: str
    since: datetime
    owner: str

    @property
    def name(self) -> str:
        """The name in ClickHouse."""
        return f"{self.table}__{self.role}_{self.since.strftime(_TIME)}_{self.owner}"

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """Read a name; None if it is not of this form."""
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        since = datetime.strptime(match["time"], _TIME).replace(tzinfo=UTC)
        return cls(match["table"], match["role"], since, match["owner"])

    def is_expired(self, now: datetime) -> bool:
        """Return whether it was retired so long ago that no query can still read it."""
        # If the clock was set back, the age is negative; that must not keep a table for years.
        return self.role == "retired" and abs(now - self.since) >= RETIRED_GRACE


def owner_of(run_id: str, attempt: int, started_at: datetime) -> str:
    """Return the owner of a try. Two tries differ, and so does one try that is started twice."""
    text = f"{run_id}\n{attempt}\n{started_at.isoformat()}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]
