"""Which rows differ: both engines sum up hashes of rows by buckets of keys; only unequal ones are listed.

A bucket holds some ten thousand rows, so that neither side ever sends more than that to be looked at.
"""

from collections.abc import Callable

from dataflix_elt.reconciliation import source_row, warehouse_row
from dataflix_elt.tables import Table

# Count and sum of hashes by bucket, and hash by key.
Buckets = dict[int, tuple[int, int]]
Bucket = dict[str, int]

_ROWS_PER_BUCKET = 10_000
_MAX_BUCKETS = 4096
_EXAMPLES = 5


def source_key(table: Table) -> str:
    """Return Postgres' expression of a key as text."""
    return f"concat_ws(',', {', '.join(table.key)})"


def warehouse_key(table: Table) -> str:
    """Return ClickHouse's expression of a key as text."""
    return "concat(" + ", ',', ".join(f"toString({name})" for name in table.key) + ", '')"


def source_bucket(table: Table, number: int) -> str:
    """Return Postgres' expression of the bucket, from 0 to `number` - 1."""
    return f"(('x' || substr(md5({source_key(table)}), 1, 8))::bit(32)::bigint & {number - 1})"


def warehouse_bucket(table: Table, number: int) -> str:
    """Return ClickHouse's expression of the bucket."""
    return f"bitAnd(bitShiftRight(halfMD5({warehouse_key(table)}), 32), {number - 1})"


def source_row_hash(table: Table) -> str:
    """Return Postgres' expression of a row's hash."""
    return f"('x' || substr(md5({source_row(table)}), 1, 16))::bit(64)::bigint"


def warehouse_row_hash(table: Table) -> str:
    """Return ClickHouse's expression of a row's hash."""
    return f"reinterpretAsInt64(halfMD5({warehouse_row(table)}))"


def differences(
    rows: int,
    buckets: Callable[[int], tuple[Buckets, Buckets]],
    bucket: Callable[[int, int], tuple[Bucket, Bucket]],
) -> list[str]:
    """Say where source and warehouse differ, as lines for people: counts, and the first few keys.

    Args:
        rows: about how many there are.
        buckets: gives both sides' sums for a number of buckets.
        bucket: gives both sides' rows of one bucket, for (number of buckets, bucket).
    """
    number = min(_MAX_BUCKETS, 1 << (rows // _ROWS_PER_BUCKET).bit_length())
    source, warehouse = buckets(number)
    unequal = sorted(
        place for place in source.keys() | warehouse.keys() if source.get(place) != warehouse.get(place)
    )
    missing: list[str] = []
    strange: list[str] = []
    different: list[str] = []
    for place in unequal:
        here, there = bucket(number, place)
        missing += sorted(here.keys() - there.keys())
        strange += sorted(there.keys() - here.keys())
        different += sorted(key for key in here.keys() & there.keys() if here[key] != there[key])
        if len(missing) + len(strange) + len(different) >= _EXAMPLES:
            break
    told = (
        ("missing in the warehouse", missing),
        ("only in the warehouse", strange),
        ("different", different),
    )
    lines = [f"{what}: {'; '.join(f'({key})' for key in keys[:_EXAMPLES])}" for what, keys in told if keys]
    return [f"{len(unequal)} of {number} buckets differ", *lines] if unequal else []
