"""The comparison at the end of a load of changes: does the warehouse hold what the source holds?"""

import logging
from datetime import timedelta
from enum import StrEnum

from dataflix_elt.books import Cursor
from dataflix_elt.buckets import differences
from dataflix_elt.capture import Tracking
from dataflix_elt.contents import Holdings
from dataflix_elt.job import Done, Job
from dataflix_elt.reconciliation import Profile, require_equal

# So many rows are compared column by column within half a second, so it is done each time.
_ALWAYS_COMPARED_ROWS = 100_000
# Larger tables are compared column by column by one run a day: the nightly one, which may begin early.
_COMPARED_EVERY = timedelta(hours=20)


class Verify(StrEnum):
    """How much of a table is compared when its changes have been carried over.

    Attributes:
        KEYS: counts, and each row's key with the transaction that wrote it, against the source's ledger. The
            source's cost follows the changes. It can't see what the source's triggers could not.
        CONTENT: all columns of all rows.
        AUTO: keys; content for small tables, and once a day.
    """

    AUTO = "auto"
    KEYS = "keys"
    CONTENT = "content"


def compare(job: Job, done: Done, cursor: Cursor, tracking: Tracking, verify: Verify) -> tuple[str, Holdings]:
    """Compare a table's two sides; returns what was compared, "keys" or "content", and what is there.

    Raises:
        ReconciliationError: they differ; the message says where.
    """
    table = job.table
    held = done.held or job.target.holdings(table)
    rows, checksum = cursor.expected(tracking)
    source = Profile(rows=rows, distinct_keys=rows, checksum=checksum)
    # Read with FINAL, a key is there once.
    loaded = Profile(rows=held.rows, distinct_keys=held.rows, checksum=held.checksum)
    ledger_agrees = source == loaded
    compared = "keys"
    if _is_due(job, cursor, verify, rows):
        loaded, compared = job.target.profile(table), "content"
        source = job.source.profile_beside(table, job.source.content(table), loaded)
    where: list[str] = []
    if source != loaded:
        where = _where(job, max(rows, held.rows))
        if not where:
            # Every column of every row is equal; only the ledger is not.
            source = loaded
            compared = "content"
    job.books.record(
        table,
        job.run_id,
        source=source,
        loaded=loaded,
        started_at=job.started_at,
        kind="changes",
        compared=compared,
        written=done.written,
        deleted=done.deleted,
    )
    outcome = f"{'. '.join(where)}. The watermark stays. To repair it: {job.repair}"
    require_equal(table, source, loaded, outcome)
    if not ledger_agrees:
        job.tell("ledger_off", logging.WARNING, expected_rows=rows, rows=held.rows)
    return compared, held


def _is_due(job: Job, cursor: Cursor, verify: Verify, rows: int) -> bool:
    age = job.started_at - cursor.compared_at
    # A clock that was set back makes an age below zero.
    is_old = not timedelta(0) <= age < _COMPARED_EVERY
    return verify is Verify.CONTENT or (verify is Verify.AUTO and (rows <= _ALWAYS_COMPARED_ROWS or is_old))


def _where(job: Job, rows: int) -> list[str]:
    table, source, target = job.table, job.source, job.target
    return differences(
        rows,
        lambda number: (source.buckets(table, number), target.buckets(table, number)),
        lambda number, bucket: (source.bucket(table, number, bucket), target.bucket(table, number, bucket)),
    )
