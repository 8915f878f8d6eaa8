"""One load of each named table, timed, with the peak memory. Runs in the environment of the ELT.

Use: elt_load.py full|incremental TABLE...

The settings of Postgres and ClickHouse are in the environment. Prints one JSON line.
"""

import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from dataflix_elt.loading.load import load
from dataflix_elt.settings import SourceSettings, WarehouseSettings
from dataflix_elt.tables import Table, table_named
from dataflix_elt.warehouse.staging_table import StagingTable
from dataflix_elt.warehouse.warehouse import Warehouse

transferring = 0.0
insert = Warehouse.insert


def timed_insert(self: Warehouse, table: Table, staging: StagingTable, chunks: Iterable[bytes]) -> None:
    """Insert, and add the time to ``transferring``."""
    global transferring  # noqa: PLW0603  the one figure of this program
    begun = time.perf_counter()
    insert(self, table, staging, chunks)
    transferring += time.perf_counter() - begun


Warehouse.insert = timed_insert  # type: ignore[method-assign]

begun = time.perf_counter()
results = [
    load(
        table_named(name),
        run_id="benchmark",
        full=sys.argv[1] == "full",
        source_settings=SourceSettings.from_environ(os.environ),
        warehouse_settings=WarehouseSettings.from_environ(os.environ),
    )
    for name in sys.argv[2:]
]
seconds = time.perf_counter() - begun
status = Path("/proc/self/status").read_text().splitlines()
figures = {
    "seconds": seconds,
    "transferring": transferring,
    "cpu_seconds": time.process_time(),
    "peak_kib": next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")),
    "rows": [result.rows for result in results],
    "written": [result.rows_written for result in results],
    "deleted": [result.rows_deleted for result in results],
    "kinds": [result.kind for result in results],
    "transferred": [result.transferred for result in results],
}
sys.stdout.write(json.dumps(figures) + "\n")
