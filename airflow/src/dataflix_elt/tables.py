"""The definition of every table that the ELT loads: columns, types, keys.

The masked views, the raw tables of `clickhouse/init`, dbt's sources and the staging models repeat these
columns. A test holds each of them to this definition.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Self

from dataflix_elt.columns import BOOL, FLOAT32, INT16, INT64, TEXT, TEXT_ARRAY, TIMESTAMP, XID, Column
from dataflix_elt.errors import UnknownTableError

SOURCE_SCHEMA = "masked"

# The transaction of the source that last wrote the row. Only views of tables whose changes are captured have
# it. Views and raw tables of installed databases call it so; in Postgres' own tables it is `last_xid`.
LAST_XID = Column("_changed_in", XID)

# What a raw table has besides the columns of its view, in its order, with the types of ClickHouse.
METADATA_COLUMNS: dict[str, str] = {
    LAST_XID.name: LAST_XID.warehouse_type,
    "_version": "UInt64",
    "_is_deleted": "UInt8",
    "_extracted_at": "DateTime64(6, 'UTC')",
    "_run_id": "LowCardinality(String)",
}


@dataclass(frozen=True, slots=True)
class LoadMetadata:
    """What a load adds to each of its rows.

    Attributes:
        version: newer rows of a key have a higher one.
        extracted_at: when the load began.
        run_id: the pipeline's run.
    """

    version: int
    extracted_at: datetime
    run_id: str


@dataclass(frozen=True)
class Table:
    """A masked view of the source, and the raw table of the same name.

    Attributes:
        name: of the view and of the raw table.
        columns: what both have, in order.
        key: columns whose values together never repeat and never change.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def source(self) -> str:
        """The view in Postgres, with its schema."""
        return f"{SOURCE_SCHEMA}.{self.name}"

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def key_columns(self) -> tuple[Column, ...]:
        """The columns of the key, in the key's order."""
        return tuple(column for name in self.key for column in self.columns if column.name == name)

    @cached_property
    def raw_columns(self) -> dict[str, str]:
        """The raw table's columns and their types in ClickHouse, in order."""
        return {column.name: column.warehouse_type for column in self.columns} | METADATA_COLUMNS

    def with_columns(self, *columns: Column) -> Self:
        """Return the table with more columns."""
        return replace(self, columns=(*self.columns, *columns))


TABLES: tuple[Table, ...] = (
    Table(
        "users",
        (
            Column("user_id", INT64),
            Column("username_hash", TEXT),
            Column("email_hash", TEXT),
            Column("first_name", TEXT),
            Column("last_name", TEXT),
            Column("city", TEXT, nullable=True),
            Column("state", TEXT, nullable=True),
            Column("country", TEXT, nullable=True),
            Column("birth_year", INT16, nullable=True),
            Column("created_at", TIMESTAMP),
            Column("updated_at", TIMESTAMP),
        ),
        key=("user_id",),
    ),
    Table(
        "movies",
        (
            Column("movie_id", INT64),
            Column("title", TEXT),
            Column("genres", TEXT_ARRAY),
            Column("release_year", INT16, nullable=True),
            Column("director", TEXT, nullable=True),
            Column("duration_minutes", INT16, nullable=True),
            Column("description", TEXT, nullable=True),
            Column("imdb_id", TEXT, nullable=True),
            Column("tmdb_id", INT64, nullable=True),
            Column("created_at", TIMESTAMP),
            Column("updated_at", TIMESTAMP),
        ),
        key=("movie_id",),
    ),
    Table(
        "watched_movies",
        (
            Column("user_id", INT64),
            Column("movie_id", INT64),
            Column("watched_at", TIMESTAMP),
            Column("updated_at", TIMESTAMP),
        ),
        key=("user_id", "movie_id"),
    ),
    Table(
        "ratings",
        (
            Column("user_id", INT64),
            Column("movie_id", INT64),
            Column("rating", FLOAT32),
            Column("liked", BOOL, nullable=True),
            Column("rated_at", TIMESTAMP),
            Column("updated_at", TIMESTAMP),
        ),
        key=("user_id", "movie_id"),
    ),
    Table(
        "feedback",
        (
            Column("recommendation_id", TEXT),
            Column("movie_id", INT64),
            Column("event", TEXT),
            Column("user_id", INT64, nullable=True),
            Column("position", INT16),
            Column("model_version", TEXT),
            Column("listed_at", TIMESTAMP),
            Column("received_at", TIMESTAMP),
        ),
        key=("recommendation_id", "movie_id", "event"),
    ),
    Table(
        "interactions",
        (
            Column("user_id", INT64),
            Column("movie_id", INT64),
            Column("kind", TEXT),
            Column("events_count", INT64),
            Column("first_at", TIMESTAMP),
            Column("last_at", TIMESTAMP),
            Column("rating", FLOAT32, nullable=True),
            Column("liked", BOOL, nullable=True),
        ),
        key=("user_id", "movie_id", "kind"),
    ),
    Table(
        "event_kinds",
        (
            Column("kind", TEXT),
            Column("weight", FLOAT32, nullable=True),
        ),
        key=("kind",),
    ),
    Table(
        "item_attributes",
        (
            Column("movie_id", INT64),
            Column("attributes", TEXT),
        ),
        key=("movie_id",),
    ),
)

TABLE_NAMES: tuple[str, ...] = tuple(table.name for table in TABLES)


def table_named(name: str) -> Table:
    """Return the definition of a table.

    Raises:
        UnknownTableError: no table has that name.
    """
    for table in TABLES:
        if table.name == name:
            return table
    raise UnknownTableError(f"No table is called {name!r}; there are {', '.join(TABLE_NAMES)}.")
