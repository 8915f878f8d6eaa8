"""What the steps of one load of one table share."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from dataflix_elt.books import Books
from dataflix_elt.columns import Column
from dataflix_elt.contents import Holdings
from dataflix_elt.errors import EltError
from dataflix_elt.log import event
from dataflix_elt.reconciliation import Profile
from dataflix_elt.source import Snapshot
from dataflix_elt.staging import SideTable, owner_of
from dataflix_elt.tables import Table
from dataflix_elt.warehouse import Stamp, Warehouse

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """What went over.

    Attributes:
        written: rows sent, changed or not.
        deleted: keys sent as gone.
        transferred: bytes sent.
        source: what the source held of it.
        held: what the raw table holds now, when that could be told without reading all of it.
    """

    written: int
    deleted: int
    transferred: int
    source: Profile
    held: Holdings | None = None


@dataclass(frozen=True)
class Job:
    """One load of one table: whose it is, and what it works on."""

    table: Table
    run_id: str
    attempt: int
    started_at: datetime
    source: Snapshot
    target: Warehouse
    books: Books

    @cached_property
    def stamp(self) -> Stamp:
        """What every row of this load carries; the version is given out at the first look."""
        version = self.books.next_version(self.table, self.target.version(self.table), self.run_id)
        return Stamp(version=version, extracted_at=self.started_at, run_id=self.run_id)

    @cached_property
    def owner(self) -> str:
        """The mark of this try's side tables."""
        return owner_of(self.run_id, self.attempt, self.started_at)

    @property
    def repair(self) -> str:
        """What somebody can type to load the table whole."""
        return f"./run.sh pipeline --full, or elt load --full --table {self.table.name}"

    def tell(self, name: str, level: int = logging.INFO, **pairs: object) -> None:
        """Log an event with the load's own tags."""
        tags: dict[str, Any] = {"run_id": self.run_id, "attempt": self.attempt, "table": self.table.name}
        event(_log, name, level, **tags, **pairs)

    @contextmanager
    def staging(self, missing: list[Column | str]) -> Iterator[SideTable]:
        """Give a staging table to the block, and drop it if the block fails.

        Args:
            missing: columns that the raw table lacks, and the staging table gets.
        """
        dropped = self.target.drop_leftovers(self.table, self.started_at)
        if dropped:
            self.tell("leftovers_dropped", tables=",".join(dropped))
        staging = SideTable(self.table.name, "staging", self.started_at, self.owner)
        try:
            self.target.create_staging(self.table, staging, self.stamp, missing)
            yield staging
        except BaseException:
            try:
                self.target.drop(staging)
            except EltError as error:
                # The first error is the one to tell; a later load drops the table.
                self.tell("staging_left_behind", logging.WARNING, staging=staging.name, reason=error)
            raise
