"""Which database rows come from, so that those of one never replace those of another unnoticed."""

from dataclasses import dataclass

from dataflix_elt.errors import OtherSourceError
from dataflix_elt.source.capture import Position
from dataflix_elt.tables import SOURCE_SCHEMA

SOURCE = f"{SOURCE_SCHEMA}._source"


@dataclass(frozen=True, slots=True)
class SourceIdentity:
    """A database whose people, items and events our Postgres holds.

    Attributes:
        name: in its description; "dataflix" for what no other database brought.
        system_identifier: of its cluster; empty if the server does not say it.
        database_oid: of the database in its cluster; 0 for what no other database brought.
    """

    name: str
    system_identifier: str
    database_oid: int

    def __str__(self) -> str:
        if not self.database_oid:
            return "Dataflix's own Postgres"
        return f"{self.name} (database {self.database_oid} of cluster {self.system_identifier or 'unknown'})"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the rows of a load come from.

    Attributes:
        source: the database that brought them.
        system_identifier: of the Postgres of ours that they were read from.
        database_oid: of its database.
    """

    source: SourceIdentity
    system_identifier: str
    database_oid: int

    @classmethod
    def of(cls, source: SourceIdentity, position: Position) -> "Origin":
        """Return the origin of rows of this source that are read at this position."""
        return cls(source, position.system_identifier, position.database_oid)


def require_same_source(table: str, loaded: Origin, now: Origin, *, is_tracked: bool, full: bool) -> None:
    """Check that rows come from the database whose rows the raw table holds.

    Args:
        table: its name, for the message.
        loaded: origin of the rows in the raw table.
        now: origin of the rows to load.
        is_tracked: the cursor says which Postgres of ours was read, and what to do after a restore.
        full: a person asked for a full load, as after a restore.

    Raises:
        OtherSourceError: it is another database.
    """
    before, after = str(loaded.source), str(now.source)
    if loaded.source == now.source:
        if is_tracked or full or loaded == now:
            return
        before = f"database {loaded.database_oid} of cluster {loaded.system_identifier}"
        after = f"database {now.database_oid} of cluster {now.system_identifier}"
    raise OtherSourceError(
        f"raw.{table} was loaded from {before}, and this is {after}. Nothing was loaded. To replace what the "
        "warehouse holds: ./run.sh pipeline --accept-source, or elt load --accept-source. To keep it, give "
        "this database a Dataflix of its own: another DATAFLIX_HOME, or another ClickHouse."
    )
