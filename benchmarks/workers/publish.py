"""Writes the top 20 of every user to the warehouse, as `trainer publish` does, from the matrix there.

Use: publish.py MODEL ITEM_ITEM

MODEL is an artifact; ITEM_ITEM 0 leaves out its item-item weights. The settings of the warehouse are in the
environment. Prints one JSON line. Only ranking and writing are timed.
"""

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchkit.models import without_item_item_weights
from dataflix_recommender import Model
from dataflix_trainer.data.warehouse import Warehouse
from dataflix_trainer.promotion.publication import read_interactions
from dataflix_trainer.promotion.recommendation_lists import write_recommendations
from dataflix_trainer.settings import ClickHouseSettings, TrainingSettings


def main(artifact: str, item_item: str) -> None:
    """Read the matrix, then rank and write once."""
    model = Model.load(Path(artifact))
    if not int(item_item):
        model = without_item_item_weights(model)
    threads = TrainingSettings.from_environ(os.environ).threads
    with Warehouse.connect(ClickHouseSettings.from_environ(os.environ)) as warehouse:
        data = read_interactions(warehouse)
        user_ids = warehouse.user_ids()
        begun, cpu = time.perf_counter(), time.process_time()
        rows = write_recommendations(warehouse, model, "benchmark", data, user_ids, threads=threads)
        seconds, cpu_seconds = time.perf_counter() - begun, time.process_time() - cpu
    figures = {"seconds": seconds, "cpu_seconds": cpu_seconds, "rows": rows}
    sys.stdout.write(json.dumps(figures) + "\n")


main(*sys.argv[1:])
