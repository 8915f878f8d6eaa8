"""ClickHouse's expressions for hashes of rows; `dataflix_elt.source.sql` has the same ones for Postgres."""

from dataflix_elt.tables import LAST_XID, Table


def row_bytes(table: Table) -> str:
    """Return the expression of a row's canonical bytes; see `dataflix_elt.columns`."""
    return "concat(" + ", ".join(f"({column.warehouse_bytes})" for column in table.columns) + ", '')"


def row_hash(table: Table) -> str:
    """Return the expression of a row's hash, as Int64."""
    # halfMD5 of one string is the first half of its MD5, as UInt64.
    return f"reinterpretAsInt64(halfMD5({row_bytes(table)}))"


def checksum(table: Table) -> str:
    """Return the aggregate of a content fingerprint's checksum."""
    # Int128, because a sum of Int64 would wrap around.
    return f"sum(toInt128({row_hash(table)}))"


def key_checksum(table: Table) -> str:
    """Return the aggregate of a key fingerprint's checksum, as the source's ledger adds it up."""
    parts = ", ',', ".join(f"toString({name})" for name in (*table.key, LAST_XID.name))
    return f"sum(toInt128(reinterpretAsInt64(halfMD5(concat({parts})))))"


def key_text(table: Table) -> str:
    """Return the expression of a key as text."""
    return "concat(" + ", ',', ".join(f"toString({name})" for name in table.key) + ", '')"


def bucket(table: Table, buckets: int) -> str:
    """Return the expression of a row's bucket, from 0 to `buckets` - 1; `buckets` is a power of two."""
    return f"bitAnd(bitShiftRight(halfMD5({key_text(table)}), 32), {buckets - 1})"
