"""A full load from Postgres into ClickHouse; the baseline is the slower of its two ends alone.

Use: .venv/bin/python benchmarks/elt.py [--rows 5000000] [--quick] [--json OUT] [--plot OUT]

Ours is the full load as the pipeline runs it: check the source, send, compare the content, exchange tables.
The baseline is the slower of the same COPY to /dev/null and an insert of the same bytes from memory.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path
from statistics import median

from benchkit import ELT_PYTHON
from benchkit.figures import Figure, at_least, at_most
from benchkit.postgres_data import fill
from benchkit.processes import run_worker
from benchkit.program import log, main
from benchkit.synthetic_ratings import make_ratings
from benchkit.timing import rates, run_interleaved
from dataflix_stack.services.postgres import binaries
from dataflix_testkit import ClickHouseServer, PostgresServer, clickhouse, postgres
from dataflix_testkit.process import clean_environ

SIZES = {
    "rows": (5_000_000, 500_000, 3_000),
    "users": (500_000, 100_000, 500),
    "movies": (20_000, 5_000, 500),
    "object-rows": (200_000, 50_000, 500),
}
LIMIT_MB = 350.0


class Load:
    """The load of one table and its baselines. Each method is one run and returns seconds."""

    def __init__(self, table: str, source: PostgresServer, target: ClickHouseServer, folder: Path) -> None:
        self.table = table
        self._environ = {**source.environ, **target.environ}
        self._source = source
        self._bytes = folder / f"{table}.csv"
        self._copy = str(
            run_worker("elt_baselines", "query", table, environ=self._environ, python=ELT_PYTHON).json["copy"]
        )
        self._run_copy(self._bytes)
        self.peaks: list[float] = []
        self.transfers: list[float] = []

    def load(self) -> float:
        """Load the table in full, in its own process."""
        result = run_worker("elt_load", "full", self.table, environ=self._environ, python=ELT_PYTHON)
        self.peaks.append(result.peak_rss_mb)
        self.transfers.append(float(result.json["transferring"]))
        return float(result.json["seconds"])

    def copy_to_null(self) -> float:
        """Let Postgres send the same bytes to /dev/null."""
        return self._run_copy(Path("/dev/null"))

    def insert_from_memory(self) -> float:
        """Let ClickHouse insert the same bytes from memory."""
        words = ("insert", self.table, self._bytes)
        return float(
            run_worker("elt_baselines", *words, environ=self._environ, python=ELT_PYTHON).json["seconds"]
        )

    def rows_as_objects(self, number: int) -> float:
        """Load ``number`` rows with fetchall and a list, and return rows per second."""
        result = run_worker(
            "elt_baselines", "rows", self.table, number, environ=self._environ, python=ELT_PYTHON
        ).json
        return float(result["rows"] / result["seconds"])

    def _run_copy(self, sink: Path) -> float:
        # psql forwards the bytes in C and prints how long the statement took.
        where = ("--host", self._source.host, "--port", str(self._source.port), "--username", "elt_reader")
        command = [str(binaries() / "psql"), "--no-psqlrc", "--quiet", *where, self._source.dbname]
        script = f"\\set ON_ERROR_STOP on\n\\timing on\n\\o {sink}\n{self._copy};\n"
        environ = {"PGPASSWORD": self._environ["DATAFLIX_POSTGRES_ELT_PASSWORD"], "PGTZ": "UTC"}
        output = subprocess.run(
            command, input=script, capture_output=True, text=True, check=True, env=clean_environ(environ)
        ).stdout
        return float(output.rpartition("Time: ")[2].split()[0]) / 1000


def measure(options: argparse.Namespace) -> list[Figure]:
    """Measure the load of ratings, then of users."""
    log(f"making {options.rows:,} ratings")
    ratings = make_ratings(options.rows, movies=options.movies, seed=options.seed)
    figures: list[Figure] = []
    with postgres() as source, clickhouse() as target, tempfile.TemporaryDirectory() as folder:
        log("filling Postgres")
        fill(source, ratings, users=options.users)
        users = max(options.users, ratings.n_users)
        for table, rows in (("ratings", len(ratings)), ("users", users)):
            log(f"loading {table}")
            figures += _figures(Load(table, source, target, Path(folder)), rows, options)
    return figures


def _figures(table_load: Load, rows: int, options: argparse.Namespace) -> list[Figure]:
    found = run_interleaved(
        {
            "ours": table_load.load,
            "copy": table_load.copy_to_null,
            "insert": table_load.insert_from_memory,
            "objects": lambda: table_load.rows_as_objects(options.object_rows),
        },
        options.runs,
    )
    name, unit = f"elt {table_load.table} {rows:,}", "rows/s"
    limit = rates(rows, max(found["copy"], found["insert"], key=median))
    ours, sent = rates(rows, found["ours"]), rates(rows, table_load.transfers[-options.runs :])
    peak = max(table_load.peaks)
    return [
        Figure.of(f"{name}: whole load", unit, ours, limit, at_least(0.7), peak=peak),
        Figure.of(f"{name}: rows in transfer", unit, sent, limit, at_least(0.7), peak=peak),
        Figure.of(f"{name}: against rows as objects", unit, ours, found["objects"], at_least(20), peak=peak),
        Figure.of(
            f"{name}: peak memory", "MB", table_load.peaks[-options.runs :], LIMIT_MB, at_most(1), peak=peak
        ),
    ]


if __name__ == "__main__":
    main(__doc__ or "", SIZES, measure)
