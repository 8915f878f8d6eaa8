"""A full load, masked, from Postgres into ClickHouse, against the slower of its two ends alone.

Use: .venv/bin/python benchmarks/elt.py [--rows 5000000] [--quick] [--json OUT] [--plot OUT]

Ours is the whole load as the pipeline runs it: checked in the source, sent, compared by content, exchanged.
The limit is the slower of the same COPY to nowhere and an insert of the same bytes from memory.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path
from statistics import median

from benchkit import ELT_PYTHON
from benchkit.data import make_ratings
from benchkit.figures import Figure, at_least, at_most
from benchkit.oltp import fill
from benchkit.processes import worker
from benchkit.program import main, say
from benchkit.timing import in_turn, rates
from dataflix_stack.services.postgres import binaries
from dataflix_testkit import ClickHouseServer, PostgresServer, clickhouse, postgres
from dataflix_testkit.process import clean_environ

SIZES = {
    "rows": (5_000_000, 500_000, 3_000),
    "users": (500_000, 100_000, 500),
    "films": (20_000, 5_000, 500),
    "row-way-rows": (200_000, 50_000, 500),
}
LIMIT_MB = 350.0


class Load:
    """One table's load and its yardsticks; each method is one run and returns seconds."""

    def __init__(self, table: str, source: PostgresServer, target: ClickHouseServer, folder: Path) -> None:
        self.table = table
        self._environ = {**source.environ, **target.environ}
        self._source = source
        self._bytes = folder / f"{table}.csv"
        self._copy = str(
            worker("elt_limits", "query", table, environ=self._environ, python=ELT_PYTHON).told["copy"]
        )
        self._run_copy(self._bytes)
        self.peaks: list[float] = []
        self.transfers: list[float] = []

    def load(self) -> float:
        """Load it whole, in a process of its own."""
        ended = worker("elt_load", "full", self.table, environ=self._environ, python=ELT_PYTHON)
        self.peaks.append(ended.peak_rss_mb)
        self.transfers.append(float(ended.told["transferring"]))
        return float(ended.told["seconds"])

    def copy_to_nowhere(self) -> float:
        """Have Postgres write the same bytes to nobody."""
        return self._run_copy(Path("/dev/null"))

    def insert_from_memory(self) -> float:
        """Have ClickHouse take the same bytes from memory."""
        words = ("insert", self.table, self._bytes)
        return float(worker("elt_limits", *words, environ=self._environ, python=ELT_PYTHON).told["seconds"])

    def rows_as_objects(self, number: int) -> float:
        """Carry so many rows by fetchall and a list; returns rows per second."""
        told = worker("elt_limits", "rows", self.table, number, environ=self._environ, python=ELT_PYTHON).told
        return float(told["rows"] / told["seconds"])

    def _run_copy(self, sink: Path) -> float:
        # psql hands the bytes on in C; it tells how long the statement took.
        where = ("--host", self._source.host, "--port", str(self._source.port), "--username", "elt_reader")
        command = [str(binaries() / "psql"), "--no-psqlrc", "--quiet", *where, self._source.dbname]
        script = f"\\set ON_ERROR_STOP on\n\\timing on\n\\o {sink}\n{self._copy};\n"
        environ = {"PGPASSWORD": self._environ["DATAFLIX_POSTGRES_ELT_PASSWORD"], "PGTZ": "UTC"}
        told = subprocess.run(
            command, input=script, capture_output=True, text=True, check=True, env=clean_environ(environ)
        ).stdout
        return float(told.rpartition("Time: ")[2].split()[0]) / 1000


def measure(options: argparse.Namespace) -> list[Figure]:
    """Measure ratings, then users."""
    say(f"inventing {options.rows:,} ratings")
    ratings = make_ratings(options.rows, films=options.films, seed=options.seed)
    figures: list[Figure] = []
    with postgres() as source, clickhouse() as target, tempfile.TemporaryDirectory() as folder:
        say("filling Postgres")
        fill(source, ratings, users=options.users)
        users = max(options.users, ratings.n_users)
        for table, rows in (("ratings", len(ratings)), ("users", users)):
            say(f"loading {table}")
            figures += _figures(Load(table, source, target, Path(folder)), rows, options)
    return figures


def _figures(work: Load, rows: int, options: argparse.Namespace) -> list[Figure]:
    found = in_turn(
        {
            "ours": work.load,
            "copy": work.copy_to_nowhere,
            "insert": work.insert_from_memory,
            "objects": lambda: work.rows_as_objects(options.row_way_rows),
        },
        options.runs,
    )
    name, unit = f"elt {work.table} {rows:,}", "rows/s"
    limit = rates(rows, max(found["copy"], found["insert"], key=median))
    ours, sent = rates(rows, found["ours"]), rates(rows, work.transfers[-options.runs :])
    peak = max(work.peaks)
    return [
        Figure.of(f"{name}: whole load", unit, ours, limit, at_least(0.7), peak=peak),
        Figure.of(f"{name}: rows under way", unit, sent, limit, at_least(0.7), peak=peak),
        Figure.of(f"{name}: against rows as objects", unit, ours, found["objects"], at_least(20), peak=peak),
        Figure.of(f"{name}: peak memory", "MB", work.peaks[-options.runs :], LIMIT_MB, at_most(1), peak=peak),
    ]


if __name__ == "__main__":
    main(__doc__ or "", SIZES, measure)
