"""The steps that `scaling.py` measures. Each is measured as in the benchmark of its name."""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import dbt_build
import serving
import training
from benchkit import ELT_PYTHON
from benchkit.memory import PeakMemory
from benchkit.models import fit_model
from benchkit.postgres_data import administrator, fill
from benchkit.processes import run_worker
from benchkit.synthetic_ratings import Ratings, make_ratings
from benchkit.warehouse_data import fill_marts, fill_raw
from dataflix_testkit import clickhouse, mlflow, postgres, s3
from incremental import TABLES

# The module has the name of a keyword, so an import statement cannot name it.
importing = import_module("import")

# Figure -> its unit.
FIGURES = {
    "time": "s",
    "memory": "MB",
    "Postgres on disk": "MB",
    "ClickHouse on disk": "MB",
    "time per request": "ms",
    "99th percentile": "ms",
}
# For the step that grows with movies. A model fitted to fewer ratings for each movie would have short factors
# only, and pruning would leave out few movies.
RATINGS_PER_MOVIE = 50
RAW_BYTES = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'raw'"

Measurements = dict[str, list[float]]
"""Figure -> the result of each run."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step that is measured at growing sizes.

    Attributes:
        name: The name of the step.
        by: What grows: ratings or movies.
        measure: Takes ratings, or a number of movies, and the options of `scaling.py`.
    """

    name: str
    by: str
    measure: Callable[[Any, argparse.Namespace], Measurements]


def import_files(ratings: Ratings, options: argparse.Namespace) -> Measurements:
    """Import MovieLens files into Postgres. Memory is the importer's."""
    figures: Measurements = {"time": [], "memory": [], "Postgres on disk": []}
    with postgres() as server, tempfile.TemporaryDirectory() as folder:
        files = importing.write_movielens(Path(folder) / "ml-synthetic", ratings)
        for number in range(options.runs):
            imports = importing.Imports(server, files, Path(folder) / f"home-{number}")
            figures["time"].append(imports.ours())
            figures["memory"].append(imports.peak)
        with administrator(server) as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            figures["Postgres on disk"].append(float(cursor.fetchall()[0][0]) / 1e6)
    return figures


def load_full(ratings: Ratings, options: argparse.Namespace) -> Measurements:
    """Load all tables in full from Postgres into ClickHouse. Memory is the loading process's."""
    figures: Measurements = {"time": [], "memory": [], "ClickHouse on disk": []}
    with postgres() as source, clickhouse() as target:
        fill(source, ratings)
        environ = {**source.environ, **target.environ}
        for _ in range(options.runs):
            result = run_worker("elt_load", "full", *TABLES, environ=environ, python=ELT_PYTHON)
            figures["time"].append(float(result.json["seconds"]))
            figures["memory"].append(result.peak_rss_mb)
            # Replaced tables stay on disk for a while, so only the first load shows the size.
            if not figures["ClickHouse on disk"]:
                size = target.client("dataflix_admin").command(RAW_BYTES)
                figures["ClickHouse on disk"].append(float(str(size)) / 1e6)
    return figures


def build_marts(ratings: Ratings, options: argparse.Namespace) -> Measurements:
    """Build and test all dbt models with --full-refresh. Memory is ClickHouse's."""
    figures: Measurements = {"time": [], "memory": []}
    with clickhouse() as server, tempfile.TemporaryDirectory() as folder:
        fill_raw(server, ratings)
        builds = dbt_build.Builds(server, Path(folder))
        for _ in range(options.runs):
            with PeakMemory(server.pid) as memory:
                figures["time"].append(builds.full_build())
            figures["memory"].append(memory.megabytes)
    return figures


def train(ratings: Ratings, options: argparse.Namespace) -> Measurements:
    """Train from the warehouse to the registered version. Memory is the trainer's."""
    with (
        tempfile.TemporaryDirectory() as name,
        clickhouse() as server,
        s3() as storage,
        mlflow(storage) as tracking,
    ):
        fill_marts(server, ratings)
        environ = {
            **server.environ,
            **storage.environ,
            **tracking.environ,
            "DATAFLIX_HOME": name,
            "DATAFLIX_ENV_FILE": str(Path(name) / "none.env"),
        }
        job = training.TrainingJob(environ, Path(name) / "unused", Path(name), options)
        seconds = [job.train() for _ in range(options.runs)]
    return {"time": seconds, "memory": job.peaks}


def publish(ratings: Ratings, options: argparse.Namespace) -> Measurements:
    """Rank and write the top 20 of every user. Memory is the publisher's, which holds the ratings."""
    figures: Measurements = {"time": [], "memory": []}
    with clickhouse() as server, tempfile.TemporaryDirectory() as folder:
        fill_marts(server, ratings)
        model = Path(folder) / "model"
        fit_model(ratings, options.factors, seed=options.seed).save(model)
        for _ in range(options.runs):
            result = run_worker("publish", model, 1, environ=server.environ)
            figures["time"].append(float(result.json["seconds"]))
            figures["memory"].append(result.peak_rss_mb)
    return figures


def serve(movies: int, options: argparse.Namespace) -> Measurements:
    """Request recommendations from the API. Memory is that of the server and its workers."""
    figures: Measurements = {"time per request": [], "99th percentile": [], "memory": []}
    ratings = make_ratings(movies * RATINGS_PER_MOVIE, movies=movies, seed=options.seed)
    model = fit_model(ratings, options.factors, seed=options.seed)
    with postgres() as source:
        fill(source, ratings)
        with serving.serving(source, model, ratings.n_users, options) as server:
            for _ in range(options.runs):
                with PeakMemory(server.pid) as memory:
                    load = server.recommend(serving.TARGET_CONCURRENCY)
                figures["time per request"].append(1000 / load.rate)
                figures["99th percentile"].append(load.p99_ms)
                figures["memory"].append(memory.megabytes)
    return figures


STEPS = (
    Step("import", "ratings", import_files),
    Step("load", "ratings", load_full),
    Step("dbt", "ratings", build_marts),
    Step("training", "ratings", train),
    Step("batch", "ratings", publish),
    Step("serving", "movies", serve),
)
