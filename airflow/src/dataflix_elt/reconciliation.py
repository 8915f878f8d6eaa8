"""What a table holds, in three numbers that Postgres and ClickHouse compute alike, and their comparison."""

from dataclasses import dataclass

from dataflix_elt.columns import Column
from dataflix_elt.errors import ReconciliationError
from dataflix_elt.tables import CHANGED_IN, Table


@dataclass(frozen=True, slots=True)
class Profile:
    """The content of a table, whatever the order of its rows.

    Attributes:
        rows: number of rows.
        distinct_keys: number of different keys.
        checksum: sum over all rows of the first 8 bytes of the MD5 of a row's canonical bytes, read as a
            signed big-endian integer.
    """

    rows: int
    distinct_keys: int
    checksum: int


@dataclass(frozen=True, slots=True)
class Content:
    """A profile without its keys: number of rows, and checksum."""

    rows: int
    checksum: int


def source_checksum(table: Table) -> str:
    """Return Postgres' expression of the checksum."""
    # substr counts from 1; 16 hexadecimal digits are 8 bytes. sum(bigint) is an exact numeric.
    return f"coalesce(sum(('x' || substr(md5({source_row(table)}), 1, 16))::bit(64)::bigint), 0)"


def warehouse_checksum(table: Table) -> str:
    """Return ClickHouse's expression of the checksum."""
    # halfMD5 of one string is the first half of its MD5 as UInt64. Int128, since a sum of Int64 would wrap.
    return f"sum(toInt128(reinterpretAsInt64(halfMD5({warehouse_row(table)}))))"


def warehouse_key_checksum(table: Table) -> str:
    """Return ClickHouse's expression of what the source's ledger adds up to."""
    parts = ", ',', ".join(f"toString({name})" for name in (*table.key, CHANGED_IN.name))
    return f"sum(toInt128(reinterpretAsInt64(halfMD5(concat({parts})))))"


def source_row(table: Table) -> str:
    """Return Postgres' expression of a row's canonical bytes."""
    return _concatenation(table.columns, " || ", "source_bytes")


def warehouse_row(table: Table) -> str:
    """Return ClickHouse's expression of a row's canonical bytes."""
    return "concat(" + _concatenation(table.columns, ", ", "warehouse_bytes") + ", '')"


def _concatenation(columns: tuple[Column, ...], separator: str, side: str) -> str:
    return separator.join(f"({getattr(column, side)})" for column in columns)


def require_unique_keys(table: Table, source: Profile) -> None:
    """Check the source before anything is loaded.

    Raises:
        ReconciliationError: a key repeats.
    """
    if source.distinct_keys != source.rows:
        key = ", ".join(table.key)
        raise ReconciliationError(
            f"{table.source} has {source.rows} rows but only {source.distinct_keys} different keys ({key}). "
            "The warehouse keeps one row for each key: make the view's key unique."
        )


def require_equal(table: Table, source: Profile, loaded: Profile, outcome: str) -> None:
    """Compare what is in the warehouse with what the source held in the snapshot that was read.

    Args:
        outcome: ends the message: what became of the load.

    Raises:
        ReconciliationError: they differ; the message says in what.
    """
    differences = [
        f"{what}: source {expected}, loaded {found}"
        for what, expected, found in (
            ("rows", source.rows, loaded.rows),
            ("distinct keys", source.distinct_keys, loaded.distinct_keys),
            ("checksum", source.checksum, loaded.checksum),
        )
        if expected != found
    ]
    if differences:
        raise ReconciliationError(
            f"{table.source} and what was loaded of it differ ({'; '.join(differences)}). {outcome}"
        )
