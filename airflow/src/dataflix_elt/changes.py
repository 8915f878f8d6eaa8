"""A load of changes: stage what was written and what went away since the last one, compare it, add it."""

from dataflix_elt.capture import copy_deleted, count_deleted
from dataflix_elt.contents import Holdings
from dataflix_elt.errors import ReconciliationError
from dataflix_elt.job import Done, Job
from dataflix_elt.reconciliation import require_equal, require_unique_keys
from dataflix_elt.staging import SideTable
from dataflix_elt.transfer import streamed

# Beyond this share of the table's rows, reading all of it is quicker than looking keys up.
_FEW = 0.05


def carry_changes(job: Job, since: int, held: Holdings) -> Done:
    """Add to a raw table the rows as they are now that transaction `since` or a later one wrote or deleted.

    Args:
        held: what the raw table held when it was compared the last time.

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
        # As long as not one of its files has changed, the table holds what it held.
        is_untouched = job.target.parts(table).still_hold(held.parts)
        if not written.rows and not deleted:
            return Done(0, 0, 0, written, held if is_untouched else None)
        with job.staging([]) as staging:
            transferred = _stage(job, staging, since, has_rows=bool(written.rows), has_deleted=bool(deleted))
            outcome = f"raw.{table.name} was left as it is."
            require_equal(table, written, job.target.profile(table, staging), outcome)
            arrived = job.target.count_deleted(staging)
            if arrived != deleted:
                raise ReconciliationError(
                    f"{deleted} keys of {table.source} went away, and {arrived} arrived. {outcome}"
                )
            is_few = written.rows + deleted <= held.rows * _FEW
            now = _publish(job, staging, held if is_untouched and is_few else None)
    # Nobody reads it; what it held is in the raw table, too.
    job.target.drop(staging)
    return Done(written.rows, deleted, transferred, written, now)


def _publish(job: Job, staging: SideTable, held: Holdings | None) -> Holdings | None:
    """Make the staged rows visible; returns what the table holds then, if it was told what it held before.

    Of the changed keys the raw table itself is asked, before and after; the others are in files that stay.

    Raises:
        ReconciliationError: the raw table does not show what was staged.
    """
    table, target = job.table, job.target
    before = target.sums_of_staged_keys(table, staging) if held else None
    target.publish(table, staging, job.stamp)
    if held is None or before is None:
        return None
    parts = target.parts(table)
    after, staged = target.sums_of_staged_keys(table, staging), target.sums_of_staged(table, staging)
    if after != staged:
        raise ReconciliationError(
            f"raw.{table.name} shows {after.rows} of {staged.rows} changed rows, or others. The watermark "
            f"stays. To repair it: {job.repair}"
        )
    return Holdings(
        held.rows - before.rows + after.rows, held.checksum - before.checksum + after.checksum, parts
    )


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
