"""Staging tables: temporary, without constraints, filled by COPY."""

from collections.abc import Iterable, Sequence
from io import RawIOBase
from itertools import islice

import psycopg2
from psycopg2.extensions import cursor as Cursor  # noqa: N812  psycopg2's own name is lower case

# Bytes that one call passes to libpq; larger blocks are not faster.
COPY_CHUNK_BYTES = 1 << 18

_TABLES = """
CREATE TEMPORARY TABLE stage_users (
    user_id bigint NOT NULL,
    username text NOT NULL,
    email text NOT NULL,
    first_name text NOT NULL,
    last_name text NOT NULL,
    city text,
    state text,
    country text,
    birth_year smallint,
    created_epoch bigint NOT NULL
) ON COMMIT DROP;
CREATE TEMPORARY TABLE stage_movies (
    movie_id bigint NOT NULL,
    title text NOT NULL,
    genres text [] NOT NULL,
    release_year smallint,
    director text,
    duration_minutes smallint,
    description text,
    imdb_id text,
    tmdb_id bigint
) ON COMMIT DROP;
CREATE TEMPORARY TABLE stage_ratings (
    user_id bigint NOT NULL,
    movie_id bigint NOT NULL,
    rating real NOT NULL,
    rated_epoch bigint NOT NULL,
    liked boolean
) ON COMMIT DROP;
CREATE TEMPORARY TABLE stage_watched (
    user_id bigint NOT NULL,
    movie_id bigint NOT NULL,
    watched_epoch bigint NOT NULL
) ON COMMIT DROP;
"""

Field = str | int | float | bool | None


class CopyStream(RawIOBase):
    """A stream that COPY reads."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, about `size` of them; no bytes at the end."""
        raise NotImplementedError


def create_tables(cursor: Cursor) -> None:
    """Create the empty staging tables; they end with the transaction. Epochs are seconds since 1970."""
    cursor.execute(_TABLES)


def analyze(cursor: Cursor, *tables: str) -> None:
    """Collect statistics of staging tables: Postgres never does this by itself for temporary tables."""
    # A plan needs no more than the number of rows here; the default target reads ten times as many pages.
    cursor.execute("SET LOCAL default_statistics_target = 10")
    cursor.execute(f"ANALYZE {', '.join(tables)}")
    cursor.execute("RESET default_statistics_target")


def copy_stream(cursor: Cursor, table: str, columns: Sequence[str], stream: CopyStream) -> int:
    """COPY comma-separated fields into a staging table. Fields have no quotes; an empty field is NULL.

    Returns:
        The number of rows.
    """
    options = "WITH (FORMAT text, DELIMITER ',', NULL '')"
    return _copy(cursor, f"COPY {table} ({', '.join(columns)}) FROM STDIN {options}", stream)


def copy_rows(cursor: Cursor, table: str, columns: Sequence[str], rows: Iterable[Sequence[Field]]) -> int:
    """COPY rows of Python values. None becomes NULL, and an empty string stays an empty string.

    Returns:
        The number of rows.
    """
    return _copy(cursor, f"COPY {table} ({', '.join(columns)}) FROM STDIN", _RowStream(rows))


def _copy(cursor: Cursor, statement: str, stream: CopyStream) -> int:
    guarded = _GuardedStream(stream)
    try:
        cursor.copy_expert(statement, guarded, COPY_CHUNK_BYTES)
    except psycopg2.Error:
        if guarded.failure is not None:
            raise guarded.failure from None
        raise
    return int(cursor.rowcount)


class _GuardedStream(CopyStream):
    """Keeps the error of a stream: psycopg2 passes on only its text, inside an error of its own."""

    def __init__(self, stream: CopyStream) -> None:
        self.failure: BaseException | None = None
        self._stream = stream

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._stream.read(size)
        except BaseException as error:
            self.failure = error
            raise


class _RowStream(CopyStream):
    """Rows in COPY's text format, converted while they are read."""

    # With rows of usual length, one read stays below COPY_CHUNK_BYTES.
    _ROWS_PER_READ = 1000
    _ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})

    def __init__(self, rows: Iterable[Sequence[Field]]) -> None:
        self._rows = iter(rows)

    def read(self, size: int = -1, /) -> bytes:
        lines = ("\t".join(map(self._field, row)) + "\n" for row in islice(self._rows, self._ROWS_PER_READ))
        return "".join(lines).encode()

    def _field(self, value: Field) -> str:
        if value is None:
            return r"\N"
        return value.translate(self._ESCAPES) if isinstance(value, str) else str(value)


def text_array(values: Iterable[str]) -> str:
    """Return the Postgres literal of a text array."""
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"
