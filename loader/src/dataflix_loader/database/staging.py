"""Staging tables: temporary, without keys or checks, filled by COPY."""

from collections.abc import Iterable, Sequence
from io import RawIOBase
from itertools import islice

import psycopg2
from psycopg2.extensions import cursor as Cursor  # noqa: N812  psycopg2's own name is lower case

# Bytes that one call hands to libpq; larger ones gain nothing.
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
    """What COPY reads from."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, about `size` of them; none at the end."""
        raise NotImplementedError


def create_tables(cursor: Cursor) -> None:
    """Create the empty staging tables; they vanish with the transaction. Epochs are seconds since 1970."""
    cursor.execute(_TABLES)


def analyze(cursor: Cursor, *tables: str) -> None:
    """Have statistics made of staging tables: temporary ones have none until somebody asks."""
    # How many rows there are is what a plan needs to know here; the default reads ten times as many pages.
    cursor.execute("SET LOCAL default_statistics_target = 10")
    cursor.execute(f"ANALYZE {', '.join(tables)}")
    cursor.execute("RESET default_statistics_target")


def copy_stream(cursor: Cursor, table: str, columns: Sequence[str], stream: CopyStream) -> int:
    """COPY comma-separated plain fields (no quotes, an empty field is NULL) into a staging table.

    Returns:
        How many rows arrived.
    """
    options = "WITH (FORMAT text, DELIMITER ',', NULL '')"
    return _copy(cursor, f"COPY {table} ({', '.join(columns)}) FROM STDIN {options}", stream)


def copy_rows(cursor: Cursor, table: str, columns: Sequence[str], rows: Iterable[Sequence[Field]]) -> int:
    """COPY rows of Python values; None becomes NULL, and an empty text stays one.

    Returns:
        How many rows arrived.
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
    """Keeps what a stream raises: psycopg2 passes on only its text, within an error of its own."""

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
    """Rows in COPY's text format, made while they are read."""

    # Keeps a piece of the stream below COPY_CHUNK_BYTES for rows of usual length.
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
    """Return Postgres' literal of a text array."""
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"
