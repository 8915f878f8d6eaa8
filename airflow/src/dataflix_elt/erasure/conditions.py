"""Says which rows of a table belong to erased users.

The users' ids are in a table while an erasure runs and never in a statement, because ClickHouse keeps
statements, too.

A new user may have the id of an erased one. In `raw`, rows of transactions before the one that deleted the
erased user are removed, and the others stay. A table of `analytics` has the new user's rows only if it was
created after the last load, by the warehouse's clock; otherwise it has the erased user's.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from dataflix_elt.clients import clickhouse, postgres
from dataflix_elt.erasure import id_tables
from dataflix_elt.erasure.records import PendingErasure
from dataflix_elt.tables import LAST_XID, SOURCE_SCHEMA, TABLE_NAMES, TABLES, table_named

# The new user of an id has not been loaded: no table of analytics is newer than this.
_NEVER = datetime(2200, 1, 1, tzinfo=UTC)


class WarehouseTable(NamedTuple):
    """A table under its present name; a swap gives it another name.

    Attributes:
        database: raw or analytics.
        name: of the table.
        uuid: stays.
        created: when it was created, s since 1970.
        is_raw: its rows have the load's metadata.
    """

    database: str
    name: str
    uuid: str
    created: int
    is_raw: bool

    @property
    def path(self) -> str:
        """The name with that of the database."""
        return f"{self.database}.{self.name}"


@dataclass(frozen=True, slots=True)
class Conditions:
    """Which rows of a table to remove.

    Attributes:
        ids: table with the users' ids, and how their rows differ from those of a new user with the same id.
        feedback: table with the keys of deleted feedback that a load may not have seen as deleted.
        feedback_deletions: ids of the source's rows of these.
    """

    ids: str
    feedback: str
    feedback_deletions: list[int]

    def raw(self, path: str) -> str:
        """Return the condition for a table with the load's metadata, of this path."""
        return (
            f"user_id IN (SELECT erased FROM {self.ids} WHERE NOT is_id_in_use) OR (user_id, {LAST_XID.name})"  # noqa: S608
            f" IN (SELECT r.user_id, r.{LAST_XID.name} FROM {path} AS r"
            f" INNER JOIN {self.ids} AS i ON r.user_id = i.erased"
            f" WHERE i.is_id_in_use AND r.{LAST_XID.name} < i.deleted_in)"
        )

    def of(self, table: WarehouseTable) -> str:
        """Return the condition for a table."""
        if not table.is_raw:
            # ClickHouse rounds the time of creation down to a second.
            created = f"toDateTime({table.created})"
            # A table of the future is from before the clock was set back.
            is_older = f"loaded_at >= {created} OR {created} > now()"
            return f"user_id IN (SELECT erased FROM {self.ids} WHERE {is_older})"  # noqa: S608
        condition = self.raw(table.path)
        # A copy that somebody made under another name is no table of ours.
        loaded = table.name.split("__")[0]
        if loaded in TABLE_NAMES:
            condition += f" OR {self.deleted(table.path, table_named(loaded).key)}"
        return condition

    def deleted(self, path: str, keys: tuple[str, ...]) -> str:
        """Return the condition for all versions of rows that were deleted, of users whose id is in use.

        A deletion has the key alone and not the transaction, so it may be the new user's. It hides earlier
        versions, which must go together with it. The key of feedback does not even say whose it was, and the
        person may have lost feedback long before, with a movie for instance: all deleted feedback goes.
        """
        whose = (
            f" WHERE user_id IN (SELECT erased FROM {self.ids} WHERE is_id_in_use)"  # noqa: S608
            if "user_id" in keys
            else ""
        )
        key = ", ".join(keys)
        condition = (
            f"({key}) IN (SELECT {key} FROM {path}{whose} GROUP BY {key}"  # noqa: S608
            " HAVING argMax(_is_deleted, _version) = 1)"
        )
        if "user_id" not in keys:
            condition += f" OR ({key}) IN (SELECT {key} FROM {self.feedback})"  # noqa: S608
        return condition


@contextmanager
def conditions_of(
    records: postgres.Session, target: clickhouse.Session, pending: list[PendingErasure]
) -> Iterator[Conditions]:
    """Create the tables that say what to remove, and drop them at the end."""
    id_tables.drop_those_of_killed_runs(target)
    deletions = records.rows(
        "SELECT deletion_id, recommendation_id, movie_id, event, is_back"  # noqa: S608
        f" FROM {SOURCE_SCHEMA}._erased_feedback"
    )
    feedback_key = {column.name: column.warehouse_type for column in table_named("feedback").key_columns}
    # No column is called user_id, so that these tables do not count as ones with rows of people.
    ids = {"erased": "Int64", "deleted_in": "UInt64", "is_id_in_use": "Bool"}
    with ExitStack() as tables:
        first = tables.enter_context(
            id_tables.table(target, ids, ((p.user_id, p.deleted_in, int(p.is_id_in_use)) for p in pending))
        )
        loaded_at = _loaded_at(target, first, [p for p in pending if p.is_id_in_use])
        second = tables.enter_context(
            id_tables.table(
                target,
                ids | {"loaded_at": "DateTime64(6, 'UTC')"},
                (
                    (
                        *(p.user_id, p.deleted_in, int(p.is_id_in_use)),
                        loaded_at.get(p.user_id, _NEVER).strftime("%Y-%m-%d %H:%M:%S.%f"),
                    )
                    for p in pending
                ),
            )
        )
        gone = {(list_id, movie, event) for _, list_id, movie, event, is_back in deletions if not is_back}
        feedback = tables.enter_context(id_tables.table(target, feedback_key, sorted(gone)))
        yield Conditions(second, feedback, [int(row[0]) for row in deletions])


def _loaded_at(target: clickhouse.Session, ids: str, pending: list[PendingErasure]) -> dict[int, datetime]:
    """Return when all tables were loaded last, by id of each new user whose old rows are in none."""
    if not pending:
        return {}
    old: set[int] = set()
    for table in TABLES:
        if "user_id" in table.column_names:
            rows = target.query(
                f"SELECT DISTINCT r.user_id FROM {target.path(table.name)} AS r FINAL"  # noqa: S608
                f" INNER JOIN {ids} AS i ON r.user_id = i.erased"
                f" WHERE i.is_id_in_use AND r.{LAST_XID.name} < i.deleted_in"
            )
            old.update(int(user_id) for (user_id,) in rows)
    # Not _extracted_at: the loader's clock may be behind that of the warehouse, which dates its tables.
    loaded_at: dict[str, datetime] = dict(
        target.query(
            f"SELECT table_name, max(recorded_at) FROM {target.path('load_cursors')} GROUP BY table_name"  # noqa: S608
        )
    )
    names = [table.name for table in TABLES if "user_id" in table.column_names]
    if not all(name in loaded_at for name in names):
        return {}
    last = max(loaded_at[name] for name in names).replace(tzinfo=UTC)
    rows = target.query(
        f"SELECT DISTINCT r.user_id FROM {target.path('users')} AS r"  # noqa: S608
        f" INNER JOIN {ids} AS i ON r.user_id = i.erased"
        f" WHERE i.is_id_in_use AND r.{LAST_XID.name} >= i.deleted_in"
    )
    return {int(user_id): last for (user_id,) in rows if int(user_id) not in old}
