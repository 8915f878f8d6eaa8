"""Tables of `raw` that say whose rows an erasure changes, while it runs.

The users' ids are in these and never in a statement, because ClickHouse keeps statements, too.
"""

import csv
import io
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from dataflix_elt.clients.clickhouse import Session

_PREFIX = "erasing__"


def drop_those_of_killed_runs(target: Session) -> None:
    """Drop the tables that killed erasures have left."""
    for (name,) in target.query(
        "SELECT name FROM system.tables"
        " WHERE database = {database:String} AND startsWith(name, {prefix:String})",
        database=target.database,
        prefix=_PREFIX,
    ):
        target.command(f"DROP TABLE IF EXISTS {target.path(name)} SYNC")


@contextmanager
def table(target: Session, columns: Mapping[str, str], rows: Iterable[tuple[object, ...]]) -> Iterator[str]:
    """Create a table of these columns, by their types, and rows, and drop it at the end; gives its path."""
    name = _PREFIX + uuid.uuid4().hex[:12]
    definitions = ", ".join(f"{column} {kind}" for column, kind in columns.items())
    target.command(f"CREATE TABLE {target.path(name)} ({definitions}) ENGINE = MergeTree ORDER BY tuple()")
    try:
        if lines := list(map(_csv, rows)):
            target.insert(name, tuple(columns), lines)
        yield target.path(name)
    finally:
        target.command(f"DROP TABLE IF EXISTS {target.path(name)} SYNC")


def _csv(row: tuple[object, ...]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(row)
    return line.getvalue().encode()
