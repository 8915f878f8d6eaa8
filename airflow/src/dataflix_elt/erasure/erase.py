"""Removes deleted users from the warehouse, and says so only once nothing of them is found any more.

After the rows are removed, the old parts stay on the disk for a while, and so do dropped tables; the erasure
waits for both, and then searches the files.
"""

import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from dataflix_elt.clients import clickhouse, postgres
from dataflix_elt.erasure.conditions import conditions_of
from dataflix_elt.erasure.file_search import require_clean_files
from dataflix_elt.erasure.pending_deletes import (
    keep_old_parts_as_usual,
    tables_with_brief_parts,
    wait_for_pending_deletes,
)
from dataflix_elt.erasure.pseudonyms import find_pseudonyms, require_pseudonyms
from dataflix_elt.erasure.records import Evidence, pending_erasures, record_verified
from dataflix_elt.erasure.removal import remove_everywhere
from dataflix_elt.log import EventLog
from dataflix_elt.settings import SourceSettings, WarehouseSettings
from dataflix_elt.tables import TABLES
from dataflix_elt.warehouse.warehouse import Warehouse

_log = EventLog(logging.getLogger(__name__))
# Our own server needs ten seconds for old parts and dropped tables; another one may take eight minutes for
# each.
_WAIT_S = 540
# The advisory lock of a step that writes people's lists, held until they are published.
PUBLICATION_LOCK = "publication"


@dataclass(frozen=True, slots=True)
class ErasureResult:
    """What a run did.

    Attributes:
        erasures: their ids.
        removed: rows by table, in all versions together.
        searched_tables: whose rows were looked for.
        scanned_bytes: of the warehouse's files, unpacked; None if they are out of reach.
        scanned_files: number of these files; None if they are out of reach.
        seconds: from start to end.
    """

    erasures: list[int]
    removed: dict[str, int] = field(default_factory=dict)
    searched_tables: list[str] = field(default_factory=list)
    scanned_bytes: int | None = None
    scanned_files: int | None = None
    seconds: float = 0.0


def erase(
    source: SourceSettings, warehouse: WarehouseSettings, data: Path | None, *, wait_s: float = _WAIT_S
) -> ErasureResult:
    """Remove all users from the warehouse who were deleted in the source, and verify that they are gone.

    Erasures that are requested while it runs are left to the next run. It waits for running loads and
    publications, and later ones wait for it. It refuses to run during a build by dbt.

    Args:
        source: where the erasures are recorded.
        warehouse: where to remove rows.
        data: ClickHouse's data folder, to search for the pseudonyms; None if it is on another machine.
        wait_s: how long to wait until files are deleted, s.

    Raises:
        ErasureIncompleteError: something is left, or dbt is building. Nothing was marked as verified, and a
            later run tries again.
        BusyError: a load, a publication or another erasure was still running after 20 minutes.
        TransientError: a service was down.
        SourceError, WarehouseError: a statement failed.
    """
    began = time.monotonic()
    removed: dict[str, int] = {}
    searched: list[str] = []
    scanned = None
    with postgres.session(source) as records, clickhouse.session(warehouse) as target:
        records.advisory_lock("erasure")
        pending = pending_erasures(records)
        if pending:
            # A load that had read a person's rows before they were deleted is done before we begin, and the
            # next one reads after we are done.
            records.advisory_lock(PUBLICATION_LOCK)
            for table in TABLES:
                records.advisory_lock(table.name)
            _drop_stale_staging_tables(Warehouse(target))
            with conditions_of(records, target, pending) as conditions:
                pseudonyms = find_pseudonyms(records, target, pending, conditions)
                if data is not None:
                    require_pseudonyms(pending, pseudonyms)
                removed, searched = remove_everywhere(target, conditions)
                # Not from `removed`: an earlier try may have removed rows, and have been killed or given up.
                changed = tables_with_brief_parts(target)
                wait_for_pending_deletes(target, changed, wait_s)
                keep_old_parts_as_usual(target, changed)
                scanned = None if data is None else require_clean_files(target, data, pseudonyms)
            evidence = Evidence(sum(removed.values()), searched, scanned, conditions.feedback_deletions)
            record_verified(records, pending, evidence)
    result = ErasureResult(
        erasures=[erasure.erasure_id for erasure in pending],
        removed=removed,
        searched_tables=searched,
        scanned_bytes=scanned.bytes if scanned else None,
        scanned_files=scanned.files if scanned else None,
        seconds=round(time.monotonic() - began, 3),
    )
    _log.info(
        "erasure_finished",
        erasures=len(result.erasures),
        rows=sum(removed.values()),
        tables=",".join(sorted(removed)),
        scanned_bytes=result.scanned_bytes,
        seconds=result.seconds,
    )
    return result


def _drop_stale_staging_tables(warehouse: Warehouse) -> None:
    """Drop what killed loads have filled; what they were still sending then finds no table."""
    for table in TABLES:
        for staging in warehouse.fence_stale_loads(table, datetime.now(UTC)):
            warehouse.drop(staging)
