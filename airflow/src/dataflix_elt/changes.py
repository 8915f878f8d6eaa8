"""A load of changes: stage what was written and what went away since the last one, compare it, add it."""

from dataflix_elt.capture import copy_deleted, count_deleted
from dataflix_elt.errors import ReconciliationError
from dataflix_elt.job import Done, Job
from dataflix_elt.reconciliation import require_equal, require_unique_keys
from dataflix_elt.staging import SideTable
from dataflix_elt.transfer import streamed


def carry_changes(job: Job, since: int) -> Done:
    """Add to a raw table the rows as they are now that transaction `since` or a later one wrote or deleted.

    Raises:
        UnfitRowsError: found before anything was loaded.
        ReconciliationError: what arrived differs from the source; the raw table is as it was.
        SupersededError: another load came in between; the raw table is as that one left it.
    """
    table, source = job.table, job.source
    with source.by_index():
        written = source.profile(table, since)
        deleted = count_deleted(source, table, since)
        job.tell("changes_profiled", rows=written.rows, deleted=deleted, since=since)
        require_unique_keys(table, written)
        if not written.rows and not deleted:
            return Done(0, 0, 0, written)
        with job.staging([]) as staging:
            transferred = _stage(job, staging, since, has_rows=bool(written.rows), has_deleted=bool(deleted))
            outcome = f"raw.{table.name} was left as it is."
            require_equal(table, written, job.target.profile(table, staging), outcome)
            arrived = job.target.count_deleted(staging)
            if arrived != deleted:
                raise ReconciliationError(
                    f"{deleted} keys of {table.source} went away, and {arrived} arrived. {outcome}"
                )
            job.target.publish(table, staging, job.stamp)
    # Nobody reads it; what it held is in the raw table, too.
    job.target.drop(staging)
    return Done(written.rows, deleted, transferred, written)


def _stage(job: Job, staging: SideTable, since: int, *, has_rows: bool, has_deleted: bool) -> int:
    table, source, target = job.table, job.source, job.target
    transferred = 0
    if has_rows:
        with streamed(lambda sink: source.copy_rows(table, sink, since), source.session.cancel) as stream:
            target.insert(table, staging, stream)
        transferred += stream.transferred
    if has_deleted:
        with streamed(lambda sink: copy_deleted(source, table, sink, since), source.session.cancel) as stream:
            target.insert_deleted(table, staging, stream)
        transferred += stream.transferred
    return transferred
