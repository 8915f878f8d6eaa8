"""A program that loads a table of (id, words) and prints its own peak memory in KiB.

Use: load_numbers.py TABLE RUN_ID, with the engines' settings in the environment.
"""

import os
import resource
import sys

from dataflix_elt.columns import INT64, TEXT, Column
from dataflix_elt.load import full_load
from dataflix_elt.settings import SourceSettings, WarehouseSettings
from dataflix_elt.tables import Table

full_load(
    Table(sys.argv[1], (Column("id", INT64), Column("words", TEXT)), ("id",)),
    run_id=sys.argv[2],
    source_settings=SourceSettings.from_environ(os.environ),
    warehouse_settings=WarehouseSettings.from_environ(os.environ),
)
sys.stdout.write(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}\n")
