"""Writes everybody's top 20 into the warehouse, as `trainer publish` does, from the matrix in it.

Use: publish.py MODEL LINKS, an artifact, and 0 to leave its links out, with the warehouse's settings in the
environment. Prints one JSON line; only the ranking and writing are timed.
"""

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchkit.models import by_factors
from dataflix_recommender import Model
from dataflix_trainer.data.warehouse import Warehouse
from dataflix_trainer.promotion.publication import read_interactions
from dataflix_trainer.promotion.recommendation_lists import write_recommendations
from dataflix_trainer.settings import ClickHouseSettings, training_threads


def main(artifact: str, links: str) -> None:
    """Read the matrix, then rank and write once."""
    model = Model.load(Path(artifact))
    if not int(links):
        model = by_factors(model)
    threads = training_threads(os.environ)
    with Warehouse.connect(ClickHouseSettings.from_environ(os.environ)) as warehouse:
        data = read_interactions(warehouse)
        everybody = warehouse.user_ids()
        begun, cpu = time.perf_counter(), time.process_time()
        rows = write_recommendations(warehouse, model, "benchmark", data, everybody, threads=threads)
        seconds, cpu_seconds = time.perf_counter() - begun, time.process_time() - cpu
    told = {"seconds": seconds, "cpu_seconds": cpu_seconds, "rows": rows}
    sys.stdout.write(json.dumps(told) + "\n")


main(*sys.argv[1:])
