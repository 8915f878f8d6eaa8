"""A load of the whole table: stage it, compare it with the source, swap it in."""

from datetime import UTC, datetime

from dataflix_elt.columns import Column
from dataflix_elt.job import Done, Job
from dataflix_elt.reconciliation import require_equal, require_unique_keys
from dataflix_elt.staging import SideTable
from dataflix_elt.transfer import streamed


def load_whole(job: Job, missing: list[Column | str]) -> Done:
    """Replace a raw table by what its view holds now.

    Args:
        missing: columns that the raw table lacks, and gets.

    Raises:
        UnfitRowsError: found before anything was loaded.
        ReconciliationError: a key repeats in the source, or what arrived differs from it; the raw table is as
            it was.
        SupersededError: another load came in between; the raw table is as that one left it.
    """
    table, source, target = job.table, job.source, job.target
    content = source.content(table)
    job.tell("source_profiled", rows=content.rows)
    with job.staging(missing) as staging:
        with streamed(lambda sink: source.copy_rows(table, sink), source.session.cancel) as stream:
            target.insert(table, staging, stream)
        loaded, held = target.stock(table, staging)
        expected = source.profile_beside(table, content, loaded)
        require_unique_keys(table, expected)
        job.books.record(
            table,
            job.run_id,
            source=expected,
            loaded=loaded,
            started_at=job.started_at,
            kind="whole",
            compared="content",
            written=loaded.rows,
            deleted=0,
        )
        require_equal(table, expected, loaded, f"raw.{table.name} was left as it is.")
        target.swap_in(table, staging, job.stamp)
    target.retire(staging, SideTable(table.name, "retired", datetime.now(UTC), job.owner))
    return Done(loaded.rows, 0, stream.transferred, expected, held)
