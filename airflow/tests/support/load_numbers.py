"""A program that loads a table of (id, words) and prints its peak memory in KiB.

Use: load_numbers.py TABLE RUN_ID [pause], with the engines' settings in the environment. With `pause` it
prints a line once it has sent the first chunk to the warehouse, and waits until it is killed.
"""

import os
import resource
import signal
import sys
from collections.abc import Iterator

from dataflix_elt.columns import INT64, TEXT, Column
from dataflix_elt.loading.load import load
from dataflix_elt.loading.stream import Stream
from dataflix_elt.settings import SourceSettings, WarehouseSettings
from dataflix_elt.tables import Table

every_chunk = Stream.__iter__


def first_chunk_and_no_more(stream: Stream) -> Iterator[bytes]:
    """Stop in the middle."""
    yield next(every_chunk(stream))
    sys.stdout.write("in the middle\n")
    sys.stdout.flush()
    signal.pause()


if sys.argv[3:] == ["pause"]:
    Stream.__iter__ = first_chunk_and_no_more  # type: ignore[method-assign]

load(
    Table(sys.argv[1], (Column("id", INT64), Column("words", TEXT)), ("id",)),
    run_id=sys.argv[2],
    source_settings=SourceSettings.from_environ(os.environ),
    warehouse_settings=WarehouseSettings.from_environ(os.environ),
)
sys.stdout.write(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}\n")
