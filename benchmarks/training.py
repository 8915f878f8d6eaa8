"""A training from the warehouse to the registry; the baseline is the bare fit of the same matrix.

Use: .venv/bin/python benchmarks/training.py [--interactions 10000000] [--quick] [--spark-python PYTHON]

Ours is `trainer train` in its own process: read, split, fit, evaluate, fit on everything, save to S3,
register. The baseline is one fit by `implicit` with BLAS limited to one thread. Where pyspark and Java are
installed, Spark's ALS and ours fit a million interactions, each with the best of four ridges and otherwise
equal parameters. Elsewhere these figures are "not run".
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from benchkit import CORE_PYTHON
from benchkit.figures import Figure, at_least, at_most
from benchkit.processes import run, run_worker
from benchkit.program import log, main
from benchkit.spark import SparkComparison, missing
from benchkit.synthetic_ratings import Ratings, make_ratings
from benchkit.timing import run_interleaved
from benchkit.warehouse_data import fill_marts
from dataflix_testkit import clickhouse, mlflow, s3

SIZES = {
    "interactions": (10_000_000, 300_000, 4_000),
    "movies": (20_000, 3_000, 300),
    "factors": (128, 64, 8),
    "iterations": (15, 15, 2),
    "spark-interactions": (1_000_000, 100_000, 4_000),
}
LIMIT_MB = 2_500.0


class TrainingJob:
    """The training job and the bare fit. Both return seconds."""

    def __init__(
        self, environ: dict[str, str], file: Path, folder: Path, options: argparse.Namespace
    ) -> None:
        self._environ = environ
        self._file = file
        self._folder = folder
        self._options = options
        self.peaks: list[float] = []

    def train(self) -> float:
        """Train and register a version."""
        options = self._options
        command = [str(CORE_PYTHON.with_name("trainer")), "train", "--json"]
        sizes = ("--factors", options.factors, "--iterations", options.iterations, "--seed", options.seed)
        begun = time.perf_counter()
        result = run([*command, *map(str, sizes)], self._environ)
        seconds = time.perf_counter() - begun
        if not json.loads(result.output)["model_version"]:
            raise RuntimeError(f"the training registered no version: {result.output}")
        self.peaks.append(result.peak_rss_mb)
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
        return float(run_worker("implicit_fit", *words, environ={}).json["seconds"])


def measure(options: argparse.Namespace) -> list[Figure]:
    """Measure the job, then compare with Spark."""
    log(f"making {options.interactions:,} interactions")
    ratings = make_ratings(options.interactions, movies=options.movies, seed=options.seed)
    with (
        tempfile.TemporaryDirectory() as name,
        clickhouse() as server,
        s3() as storage,
        mlflow(storage) as tracking,
    ):
        folder = Path(name)
        log("filling the warehouse")
        fill_marts(server, ratings)
        environ = {
            **server.environ,
            **storage.environ,
            **tracking.environ,
            "DATAFLIX_HOME": name,
            "DATAFLIX_ENV_FILE": str(folder / "none.env"),
        }
        job = TrainingJob(environ, ratings.save(folder / "ratings.npz"), folder, options)
        log("training")
        found = run_interleaved({"job": job.train, "fit": job.bare_fit}, options.runs, warm_up=False)
    name = f"training {options.interactions:,}"
    peak = max(job.peaks)
    return [
        Figure.of(f"{name}: job against bare fit", "s", found["job"], found["fit"], at_most(1.3), peak=peak),
        Figure.of(f"{name}: peak memory", "MB", job.peaks, LIMIT_MB, at_most(1), peak=peak),
        *compare_with_spark(options),
    ]


def compare_with_spark(options: argparse.Namespace) -> list[Figure]:
    """Compare our fits with Spark's, where Spark is installed."""
    name = f"training {options.spark_interactions:,}: "
    fits, quality = f"{name}{{}}fits per hour against Spark's", f"{name}NDCG@10 {{}}against Spark's"
    # The bare ALS, which Spark has too, and the trainer's fit.
    methods = {"ours": ("", ""), "served": ("served ", "as served ")}
    if lacking := missing(options.spark_python):
        log(f"Spark's ALS is not run: {lacking}")
        return [
            figure
            for faster, better in methods.values()
            for figure in (
                Figure.not_run(fits.format(faster), "fits/h", at_least(25)),
                Figure.not_run(quality.format(better), "", at_least(1)),
            )
        ]
    ratings: Ratings = make_ratings(options.spark_interactions, movies=options.movies, seed=options.seed)
    with tempfile.TemporaryDirectory() as folder:
        comparison = SparkComparison(
            ratings,
            Path(folder),
            options.spark_python,
            factors=options.factors,
            iterations=options.iterations,
            seed=options.seed,
        )
        log("fitting, and fitting with Spark")
        results = comparison.run()
    hourly = {name: [3600 / second for second in result.seconds] for name, result in results.items()}
    return [
        figure
        for method, (faster, better) in methods.items()
        for figure in (
            Figure.of(fits.format(faster), "fits/h", hourly[method], hourly["spark"], at_least(25)),
            Figure.of(quality.format(better), "", [results[method].ndcg], results["spark"].ndcg, at_least(1)),
        )
    ]


def spark_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that names a Python with Spark."""
    parser.add_argument(
        "--spark-python",
        type=Path,
        default=Path(sys.executable),
        metavar="PYTHON",
        help="a Python with pyspark and numpy (this one)",
    )


if __name__ == "__main__":
    main(__doc__ or "", SIZES, measure, spark_option)
