"""The dbt project on synthetic ratings; the baseline is the bare INSERT ... SELECT of its tables.

Use: .venv/bin/python benchmarks/dbt_build.py [--rows 10000000] [--quick] [--json OUT] [--plot OUT]

Ours is `dbt build`, which includes the tests, and `dbt run`, the models alone, both with --full-refresh. The
baseline runs the compiled SELECT of each table's model into an empty copy of the table, one after the other;
the sum of their times counts. Then new ratings arrive, and the next build is compared with the first.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchkit import ELT_PYTHON, ROOT
from benchkit.figures import Figure, at_most
from benchkit.memory import PeakMemory
from benchkit.program import log, main
from benchkit.synthetic_ratings import Ratings, make_ratings
from benchkit.timing import run_interleaved, timed
from benchkit.warehouse_data import fill_raw
from dataflix_testkit import ClickHouseServer, clickhouse
from dataflix_testkit.process import clean_environ

SIZES = {
    "rows": (10_000_000, 500_000, 3_000),
    "movies": (20_000, 5_000, 500),
    "changes": (100_000, 5_000, 100),
    # Each run starts dbt three times, which takes long: fewer runs than in the other benchmarks.
    "runs": (5, 2, 1),
}
PROJECT = ROOT / "dbt"
SCHEMA = "analytics"
TABLE_COPY = "analytics.benchmark__copy"


class Builds:
    """The project on one server. The methods return seconds."""

    def __init__(self, server: ClickHouseServer, work: Path) -> None:
        self._server = server
        self._target = work / "target"
        self._environ = clean_environ(
            {
                **server.environ,
                "DBT_TARGET_PATH": str(self._target),
                "DBT_LOG_PATH": str(work / "logs"),
                "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
                "DO_NOT_TRACK": "1",
            }
        )
        self.slowest: list[tuple[str, float]] = []
        self._admin = server.client("dataflix_admin", settings={"join_use_nulls": 1})

    def build(self) -> float:
        """Build and test as the pipeline does. Unit tests are left out: they test code and not data."""
        return self._dbt("build", "--exclude-resource-type", "unit_test")

    def full_build(self) -> float:
        """Build and test with --full-refresh."""
        return self._dbt("build", "--full-refresh", "--exclude-resource-type", "unit_test")

    def full_run(self) -> float:
        """Build every model with --full-refresh, without tests."""
        return self._dbt("run", "--full-refresh")

    def bare_inserts(self) -> float:
        """Fill a copy of every table by the SELECT that built it last. Only the INSERT is timed."""
        seconds = {}
        for node in self._tables():
            self._admin.command(f"DROP TABLE IF EXISTS {TABLE_COPY} SYNC")
            self._admin.command(f"CREATE TABLE {TABLE_COPY} AS {SCHEMA}.{node['name']}")
            settings = ", ".join(f"{key} = '{value}'" for key, value in _query_settings(node).items())
            statement = f"INSERT INTO {TABLE_COPY} {node['compiled_code']}"
            if settings:
                statement += f"\nSETTINGS {settings}"
            seconds[node["name"]] = timed(partial(self._admin.command, statement))()
        self._admin.command(f"DROP TABLE IF EXISTS {TABLE_COPY} SYNC")
        self.slowest.append(max(seconds.items(), key=lambda item: item[1]))
        return sum(seconds.values())

    def _tables(self) -> list[dict[str, Any]]:
        nodes = json.loads((self._target / "manifest.json").read_text())["nodes"].values()
        return [
            node
            for node in nodes
            if node["resource_type"] == "model" and node["config"]["materialized"] in ("table", "incremental")
        ]

    def _dbt(self, *words: str) -> float:
        folders = ("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT))
        command = [str(ELT_PYTHON.with_name("dbt")), "--no-use-colors", *words, *folders]

        def run() -> None:
            done = subprocess.run(command, env=self._environ, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"dbt {words[0]} failed:\n{done.stdout[-3000:]}")

        return timed(run)()


def _query_settings(node: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = node["config"].get("query_settings") or {}
    return found


def measure(options: argparse.Namespace) -> list[Figure]:
    """Measure full builds, then builds after new ratings."""
    log(f"making {options.rows:,} ratings")
    new = options.changes * (options.runs + 1)
    ratings = make_ratings(options.rows + new, movies=options.movies, seed=options.seed)
    order = np.random.default_rng(options.seed).permutation(len(ratings))
    later = np.split(order[options.rows :], options.runs + 1)
    with clickhouse() as server, tempfile.TemporaryDirectory() as work, PeakMemory(server.pid) as memory:
        log("filling raw")
        fill_raw(server, ratings.taken(np.sort(order[: options.rows])))
        builds = Builds(server, Path(work))
        log("building")
        builds.full_build()
        tasks = {"build": builds.full_build, "run": builds.full_run, "bare": builds.bare_inserts}
        found = run_interleaved(tasks, options.runs, warm_up=False)
        log("building after changes")
        after_new = after_changes(server, builds, ratings, later)
    name, peak = f"dbt {options.rows:,}", memory.megabytes
    model, seconds = builds.slowest[-1]
    log(f"slowest model: {model}, {seconds:.1f} s of {found['bare'][-1]:.1f} s")
    return [
        Figure.of(f"{name}: build", "s", found["build"], found["bare"], at_most(3), peak=peak),
        Figure.of(f"{name}: models alone", "s", found["run"], found["bare"], at_most(3), peak=peak),
        Figure.of(
            f"{name}: {options.changes:,} new", "s", after_new, found["build"], at_most(0.2), peak=peak
        ),
    ]


def after_changes(
    server: ClickHouseServer, builds: Builds, ratings: Ratings, later: Sequence[Any]
) -> list[float]:
    """Return the seconds of a build after each load. The first build is a warm-up and not counted."""
    seconds = []
    for number, places in enumerate(later):
        fill_raw(server, ratings.taken(np.sort(places)), version=number + 2)
        seconds.append(builds.build())
    return seconds[1:]


if __name__ == "__main__":
    main(__doc__ or "", SIZES, measure)
