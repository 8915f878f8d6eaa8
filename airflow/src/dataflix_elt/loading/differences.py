"""Finds the rows that differ: both engines add up hashes by bucket of keys; unequal buckets are listed.

A bucket holds about ten thousand rows, so neither side ever sends more than that.
"""

from dataflix_elt.source.snapshot import Snapshot
from dataflix_elt.tables import Table
from dataflix_elt.warehouse.warehouse import Warehouse

_ROWS_PER_BUCKET = 10_000
_MAX_BUCKETS = 4096
_EXAMPLES = 5


def find_differences(source: Snapshot, target: Warehouse, table: Table, rows: int) -> list[str]:
    """Return where source and warehouse differ, as text for people: counts, and the first few keys.

    Args:
        source: one side.
        target: the other side.
        table: what to compare.
        rows: about how many rows it has.
    """
    buckets = min(_MAX_BUCKETS, 1 << (rows // _ROWS_PER_BUCKET).bit_length())
    expected, found = source.bucket_fingerprints(table, buckets), target.bucket_fingerprints(table, buckets)
    unequal = sorted(
        bucket for bucket in expected.keys() | found.keys() if expected.get(bucket) != found.get(bucket)
    )
    missing: list[str] = []
    extra: list[str] = []
    different: list[str] = []
    for bucket in unequal:
        here, there = source.row_hashes(table, buckets, bucket), target.row_hashes(table, buckets, bucket)
        missing += sorted(here.keys() - there.keys())
        extra += sorted(there.keys() - here.keys())
        different += sorted(key for key in here.keys() & there.keys() if here[key] != there[key])
        if len(missing) + len(extra) + len(different) >= _EXAMPLES:
            break
    groups = (
        ("missing in the warehouse", missing),
        ("only in the warehouse", extra),
        ("different", different),
    )
    lines = [f"{what}: {'; '.join(f'({key})' for key in keys[:_EXAMPLES])}" for what, keys in groups if keys]
    return [f"{len(unequal)} of {buckets} buckets differ", *lines] if unequal else []
