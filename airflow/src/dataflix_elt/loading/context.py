"""What the steps of one load of one table share."""

import logging
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from dataflix_elt.log import EventLog
from dataflix_elt.source.origin import Origin
from dataflix_elt.tables import Table
from dataflix_elt.warehouse.staging_table import owner_of

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadContext:
    """One load of one table.

    Attributes:
        table: with all columns that this load carries.
        run_id: the pipeline's run.
        attempt: number of this try of the run.
        started_at: when the load began.
        origin: where the rows come from.
    """

    table: Table
    run_id: str
    attempt: int
    started_at: datetime
    origin: Origin

    @property
    def owner(self) -> str:
        """Identifies this try in the names of its staging tables."""
        return owner_of(self.run_id, self.attempt, self.started_at)

    @property
    def full_load_command(self) -> str:
        """What a person can type to load the table in full."""
        return f"./run.sh pipeline --full, or elt load --full --table {self.table.name}"

    @cached_property
    def log(self) -> EventLog:
        """The log; each event names run, attempt and table."""
        return EventLog(_log, {"run_id": self.run_id, "attempt": self.attempt, "table": self.table.name})


@dataclass(frozen=True, slots=True)
class Transfer:
    """What a load sent.

    Attributes:
        rows_written: rows, changed or not.
        rows_deleted: deleted keys.
        bytes: of both.
    """

    rows_written: int
    rows_deleted: int
    bytes: int
