"""The tables that the ELT loads: the one place that names their columns, types and keys."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

from dataflix_elt.columns import BOOL, FLOAT32, INT16, INT64, TEXT, TEXT_ARRAY, TIMESTAMP, XID, Column
from dataflix_elt.errors import UnknownTableError

SOURCE_SCHEMA = "masked"


# Which transaction of the source wrote the row; in the views of tables whose changes are captured.
CHANGED_IN = Column("_changed_in", XID)


@dataclass(frozen=True)
class Table:
    """A masked view of the source and the raw table of the same name.

    Attributes:
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

    def plus(self, *columns: Column) -> Self:
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
)

TABLE_NAMES: tuple[str, ...] = tuple(table.name for table in TABLES)


def table_named(name: str) -> Table:
    """Return the specification of a table.

    Raises:
        UnknownTableError: there is none of that name.
    """
    for table in TABLES:
        if table.name == name:
            return table
    raise UnknownTableError(f"No table is called {name!r}; there are {', '.join(TABLE_NAMES)}.")
