"""Postgres' expressions for hashes of rows; `dataflix_elt.warehouse.sql` has the same ones for ClickHouse."""

from dataflix_elt.tables import Table


def row_bytes(table: Table) -> str:
    """Return the expression of a row's canonical bytes; see `dataflix_elt.columns`."""
    return " || ".join(f"({column.source_bytes})" for column in table.columns)


def row_hash(table: Table) -> str:
    """Return the expression of a row's hash, as bigint."""
    # substr counts from 1; 16 hexadecimal digits are 8 bytes.
    return f"('x' || substr(md5({row_bytes(table)}), 1, 16))::bit(64)::bigint"


def checksum(table: Table) -> str:
    """Return the aggregate of a content fingerprint's checksum."""
    # sum(bigint) is an exact numeric.
    return f"coalesce(sum({row_hash(table)}), 0)"


def key_text(table: Table) -> str:
    """Return the expression of a key as text."""
    return f"concat_ws(',', {', '.join(table.key)})"


def bucket(table: Table, buckets: int) -> str:
    """Return the expression of a row's bucket, from 0 to `buckets` - 1; `buckets` is a power of two."""
    return f"(('x' || substr(md5({key_text(table)}), 1, 8))::bit(32)::bigint & {buckets - 1})"
