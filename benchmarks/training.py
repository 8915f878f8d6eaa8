"""A training from the warehouse to the registry, against the bare fit of the same matrix in memory.

Use: .venv/bin/python benchmarks/training.py [--interactions 10000000] [--quick] [--spark-python PYTHON]

Ours is `trainer train`, a process of its own: read, split, fit, evaluate, fit on everything, save to S3,
register. The yardstick is one fit by the library, BLAS limited to one thread. With pyspark and a Java,
Spark's ALS fits a million of them beside ours, each with the best of four ridges and all else alike; without,
its figures are "not run".
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from benchkit import CORE_PYTHON
from benchkit.data import Ratings, make_ratings
from benchkit.figures import Figure, at_least, at_most
from benchkit.lake import fill_marts
from benchkit.processes import run, worker
from benchkit.program import main, say
from benchkit.spark import Race, missing
from benchkit.timing import in_turn
from dataflix_testkit import clickhouse, mlflow, s3

SIZES = {
    "interactions": (10_000_000, 300_000, 4_000),
    "films": (20_000, 3_000, 300),
    "factors": (128, 64, 8),
    "iterations": (15, 15, 2),
    "spark-interactions": (1_000_000, 100_000, 4_000),
}
LIMIT_MB = 2_500.0


class Trainings:
    """The whole job and the bare fit; both return seconds."""

    def __init__(
        self, environ: dict[str, str], file: Path, folder: Path, options: argparse.Namespace
    ) -> None:
        self._environ = environ
        self._file = file
        self._folder = folder
        self._options = options
        self.peaks: list[float] = []

    def job(self) -> float:
        """Train and register a version."""
        options = self._options
        command = [str(CORE_PYTHON.with_name("trainer")), "train", "--json"]
        sizes = ("--factors", options.factors, "--iterations", options.iterations, "--seed", options.seed)
        begun = time.perf_counter()
        ended = run([*command, *map(str, sizes)], self._environ)
        seconds = time.perf_counter() - begun
        if not json.loads(ended.output)["model_version"]:
            raise RuntimeError(f"no version was registered: {ended.output}")
        self.peaks.append(ended.peak_rss_mb)
        return seconds

    def bare_fit(self) -> float:
        """Fit the same matrix in memory."""
        options = self._options
        threads = len(os.sched_getaffinity(0))
        words = (
            self._file,
            self._folder / "bare.npz",
            options.factors,
            options.iterations,
            threads,
            options.seed,
            1.0,
        )
        return float(worker("als_fit", *words, environ={}).told["seconds"])


def measure(options: argparse.Namespace) -> list[Figure]:
    """Measure the job, then the race with Spark."""
    say(f"inventing {options.interactions:,} interactions")
    ratings = make_ratings(options.interactions, films=options.films, seed=options.seed)
    with (
        tempfile.TemporaryDirectory() as name,
        clickhouse() as server,
        s3() as storage,
        mlflow(storage) as tracking,
    ):
        folder = Path(name)
        say("filling the warehouse")
        fill_marts(server, ratings)
        environ = {
            **server.environ,
            **storage.environ,
            **tracking.environ,
            "DATAFLIX_HOME": name,
            "DATAFLIX_ENV_FILE": str(folder / "none.env"),
        }
        work = Trainings(environ, ratings.save(folder / "ratings.npz"), folder, options)
        say("training")
        found = in_turn({"job": work.job, "fit": work.bare_fit}, options.runs, warm_up=False)
    name = f"training {options.interactions:,}"
    peak = max(work.peaks)
    return [
        Figure.of(f"{name}: job against bare fit", "s", found["job"], found["fit"], at_most(1.3), peak=peak),
        Figure.of(f"{name}: peak memory", "MB", work.peaks, LIMIT_MB, at_most(1), peak=peak),
        *race(options),
    ]


def race(options: argparse.Namespace) -> list[Figure]:
    """Fit beside Spark, where it is there."""
    name = f"training {options.spark_interactions:,}: "
    fits, quality = f"{name}{{}}fits per hour against Spark's", f"{name}NDCG@10 {{}}against Spark's"
    # Bare ALS, as Spark's is, and the trainer's own fit.
    ways = {"ours": ("", ""), "served": ("served ", "as served ")}
    if lacking := missing(options.spark_python):
        say(f"Spark's ALS is not run: {lacking}")
        return [
            figure
            for faster, better in ways.values()
            for figure in (
                Figure.not_run(fits.format(faster), "fits/h", at_least(25)),
                Figure.not_run(quality.format(better), "", at_least(1)),
            )
        ]
    ratings: Ratings = make_ratings(options.spark_interactions, films=options.films, seed=options.seed)
    with tempfile.TemporaryDirectory() as folder:
        both = Race(
            ratings,
            Path(folder),
            options.spark_python,
            factors=options.factors,
            iterations=options.iterations,
            seed=options.seed,
        )
        say("fitting beside Spark")
        raced = both.run()
    hourly = {way: [3600 / second for second in one.seconds] for way, one in raced.items()}
    return [
        figure
        for way, (faster, better) in ways.items()
        for figure in (
            Figure.of(fits.format(faster), "fits/h", hourly[way], hourly["spark"], at_least(25)),
            Figure.of(quality.format(better), "", [raced[way].ndcg], raced["spark"].ndcg, at_least(1)),
        )
    ]


def spark_option(parser: argparse.ArgumentParser) -> None:
    """Add where Spark is."""
    parser.add_argument(
        "--spark-python",
        type=Path,
        default=Path(sys.executable),
        metavar="PYTHON",
        help="a Python with pyspark and numpy (this one)",
    )


if __name__ == "__main__":
    main(__doc__ or "", SIZES, measure, spark_option)
