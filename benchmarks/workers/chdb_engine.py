"""chDB in process, without HTTP: the same statements on the same rows.

Use: chdb_engine.py FOLDER FILE CLIENTS RUNS

Prints one JSON line: the seconds of each run, by statement.
"""

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import chdb

CREATE, INSERT, SCAN, GROUP = (
    "CREATE TABLE bench.ratings (user_id Int64, movie_id Int64, rating Float32, seconds Int64)"
    " ENGINE = MergeTree ORDER BY (user_id, movie_id)",
    "INSERT INTO bench.ratings FROM INFILE '{file}' COMPRESSION 'none' FORMAT CSV",
    "SELECT * FROM bench.ratings",
    "SELECT movie_id, count(), avg(rating), uniq(user_id) FROM bench.ratings"
    " GROUP BY movie_id ORDER BY movie_id",
)


def timed(action: Callable[[], Any]) -> float:
    """Run ``action`` and return its seconds."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def main(folder: str, file: str, clients: int, runs: int) -> None:
    """Run each statement once to warm up, then ``runs`` times."""
    connections = [chdb.connect(folder) for _ in range(clients)]
    first = connections[0]

    def insert() -> float:
        first.query("DROP DATABASE IF EXISTS bench SYNC")
        first.query("CREATE DATABASE bench")
        first.query(CREATE)
        return timed(lambda: first.query(INSERT.format(file=file)))

    def scan() -> float:
        return timed(lambda: first.query(SCAN, "Native").bytes())

    def group() -> float:
        return timed(lambda: first.query(GROUP, "Native").bytes())

    def concurrent() -> float:
        with ThreadPoolExecutor(clients) as pool:
            return timed(lambda: list(pool.map(lambda one: one.query(GROUP, "Native").bytes(), connections)))

    tasks = {"insert": insert, "scan": scan, "group": group, "concurrent": concurrent}
    for task in tasks.values():
        task()
    seconds = {name: [task() for _ in range(runs)] for name, task in tasks.items()}
    for connection in connections:
        connection.close()
    sys.stdout.write(json.dumps(seconds) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
