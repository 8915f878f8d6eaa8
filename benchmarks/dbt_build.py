"""The whole dbt project on invented ratings, against the bare INSERT ... SELECT of its tables.

Use: .venv/bin/python benchmarks/dbt_build.py [--rows 10000000] [--quick] [--json OUT] [--plot OUT]

Ours is `dbt build`, tests and all, and `dbt run`, the models alone, both of everything anew. The yardstick
runs the same compiled SELECT of each table's model into an empty twin of the table, one after the other; its
sum counts. Then ratings arrive that were not there, and the next build is held against the first.
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
from benchkit.data import Ratings, make_ratings
from benchkit.figures import Figure, at_most
from benchkit.lake import fill_raw
from benchkit.memory import PeakMemory
from benchkit.program import main, say
from benchkit.timing import in_turn, timed
from dataflix_testkit import ClickHouseServer, clickhouse
from dataflix_testkit.process import clean_environ

SIZES = {
    "rows": (10_000_000, 500_000, 3_000),
    "films": (20_000, 5_000, 500),
    "changes": (100_000, 5_000, 100),
    # Each run starts dbt three times: with three, this would take a third of the time of all quick figures.
    "runs": (5, 2, 1),
}
PROJECT = ROOT / "dbt"
SCHEMA = "analytics"
TWIN = "analytics.benchmark__twin"


class Builds:
    """The project on one server; the methods return seconds."""

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
        self.heaviest: list[tuple[str, float]] = []
        self._admin = server.client("dataflix_admin", settings={"join_use_nulls": 1})

    def build(self) -> float:
        """Build and test what has changed, as the pipeline does; unit tests are about the code alone."""
        return self._dbt("build", "--exclude-resource-type", "unit_test")

    def build_whole(self) -> float:
        """Build and test everything anew."""
        return self._dbt("build", "--full-refresh", "--exclude-resource-type", "unit_test")

    def run_whole(self) -> float:
        """Build every model anew without a test."""
        return self._dbt("run", "--full-refresh")

    def bare(self) -> float:
        """Fill a twin of every table by the SELECT that built it last; only that is timed."""
        seconds = {}
        for node in self._tables():
            self._admin.command(f"DROP TABLE IF EXISTS {TWIN} SYNC")
            self._admin.command(f"CREATE TABLE {TWIN} AS {SCHEMA}.{node['name']}")
            settings = ", ".join(f"{key} = '{value}'" for key, value in _query_settings(node).items())
            statement = f"INSERT INTO {TWIN} {node['compiled_code']}"
            if settings:
                statement += f"\nSETTINGS {settings}"
            seconds[node["name"]] = timed(partial(self._admin.command, statement))()
        self._admin.command(f"DROP TABLE IF EXISTS {TWIN} SYNC")
        self.heaviest.append(max(seconds.items(), key=lambda item: item[1]))
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
    """Measure whole builds, then builds after new ratings."""
    say(f"inventing {options.rows:,} ratings")
    some = options.changes * (options.runs + 1)
    ratings = make_ratings(options.rows + some, films=options.films, seed=options.seed)
    order = np.random.default_rng(options.seed).permutation(len(ratings))
    later = np.split(order[options.rows :], options.runs + 1)
    with clickhouse() as server, tempfile.TemporaryDirectory() as work, PeakMemory(server.pid) as memory:
        say("filling raw")
        fill_raw(server, ratings.taken(np.sort(order[: options.rows])))
        builds = Builds(server, Path(work))
        say("building")
        builds.build_whole()
        works = {"build": builds.build_whole, "run": builds.run_whole, "bare": builds.bare}
        found = in_turn(works, options.runs, warm_up=False)
        say("building after changes")
        again = after_changes(server, builds, ratings, later)
    name, peak = f"dbt {options.rows:,}", memory.megabytes
    model, seconds = builds.heaviest[-1]
    say(f"heaviest model: {model}, {seconds:.1f} s of {found['bare'][-1]:.1f} s")
    return [
        Figure.of(f"{name}: build", "s", found["build"], found["bare"], at_most(3), peak=peak),
        Figure.of(f"{name}: models alone", "s", found["run"], found["bare"], at_most(3), peak=peak),
        Figure.of(f"{name}: {options.changes:,} new", "s", again, found["build"], at_most(0.2), peak=peak),
    ]


def after_changes(
    server: ClickHouseServer, builds: Builds, ratings: Ratings, later: Sequence[Any]
) -> list[float]:
    """Return the seconds of a build after each load; the first one warms up."""
    seconds = []
    for number, places in enumerate(later):
        fill_raw(server, ratings.taken(np.sort(places)), version=number + 2)
        seconds.append(builds.build())
    return seconds[1:]


if __name__ == "__main__":
    main(__doc__ or "", SIZES, measure)
