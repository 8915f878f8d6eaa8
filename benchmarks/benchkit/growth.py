"""The steps whose growth is measured, each as the benchmark of its name measures it."""

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
from benchkit.data import Ratings, make_ratings
from benchkit.lake import fill_marts, fill_raw
from benchkit.memory import PeakMemory
from benchkit.models import fit_model
from benchkit.oltp import administrator, fill
from benchkit.processes import worker
from dataflix_testkit import clickhouse, mlflow, postgres, s3
from incremental import TABLES

# No statement can name a module that is called as a keyword is.
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
# While requests are measured by the number of films. The model is fitted to them: with few for each film, its
# factors would all be short, and few films left out by their length.
SERVED_RATINGS_PER_FILM = 50
RAW_BYTES = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'raw'"

Found = dict[str, list[float]]
"""Figure -> one number of each run."""


@dataclass(frozen=True, slots=True)
class Step:
    """``measure`` gets ratings, or a number of films, and the options of `scaling.py`."""

    name: str
    by: str
    measure: Callable[[Any, argparse.Namespace], Found]


def import_files(ratings: Ratings, options: argparse.Namespace) -> Found:
    """Import MovieLens files into Postgres; memory is the importer's."""
    found: Found = {"time": [], "memory": [], "Postgres on disk": []}
    with postgres() as server, tempfile.TemporaryDirectory() as folder:
        files = importing.write_movielens(Path(folder) / "ml-invented", ratings)
        for number in range(options.runs):
            work = importing.Imports(server, files, Path(folder) / f"home-{number}")
            found["time"].append(work.ours())
            found["memory"].append(work.peak)
        with administrator(server) as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            found["Postgres on disk"].append(float(cursor.fetchall()[0][0]) / 1e6)
    return found


def load_whole(ratings: Ratings, options: argparse.Namespace) -> Found:
    """Carry all tables whole from Postgres to ClickHouse; memory is the loading process's."""
    found: Found = {"time": [], "memory": [], "ClickHouse on disk": []}
    with postgres() as source, clickhouse() as target:
        fill(source, ratings)
        environ = {**source.environ, **target.environ}
        for _ in range(options.runs):
            ended = worker("elt_load", "full", *TABLES, environ=environ, python=ELT_PYTHON)
            found["time"].append(float(ended.told["seconds"]))
            found["memory"].append(ended.peak_rss_mb)
            # What the next load swaps out is kept for a while: the first one's size is the table's.
            if not found["ClickHouse on disk"]:
                size = target.client("dataflix_admin").command(RAW_BYTES)
                found["ClickHouse on disk"].append(float(str(size)) / 1e6)
    return found


def build_marts(ratings: Ratings, options: argparse.Namespace) -> Found:
    """Build and test all of dbt's models anew; memory is ClickHouse's."""
    found: Found = {"time": [], "memory": []}
    with clickhouse() as server, tempfile.TemporaryDirectory() as folder:
        fill_raw(server, ratings)
        builds = dbt_build.Builds(server, Path(folder))
        for _ in range(options.runs):
            with PeakMemory(server.pid) as memory:
                found["time"].append(builds.build_whole())
            found["memory"].append(memory.megabytes)
    return found


def train(ratings: Ratings, options: argparse.Namespace) -> Found:
    """Train from the warehouse to the registered version; memory is the trainer's."""
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
        work = training.Trainings(environ, Path(name) / "unused", Path(name), options)
        seconds = [work.job() for _ in range(options.runs)]
    return {"time": seconds, "memory": work.peaks}


def publish(ratings: Ratings, options: argparse.Namespace) -> Found:
    """Rank and write everybody's top 20; memory is the publisher's, which holds the ratings."""
    found: Found = {"time": [], "memory": []}
    with clickhouse() as server, tempfile.TemporaryDirectory() as folder:
        fill_marts(server, ratings)
        model = Path(folder) / "model"
        fit_model(ratings, options.factors, seed=options.seed).save(model)
        for _ in range(options.runs):
            ended = worker("publish", model, 1, environ=server.environ)
            found["time"].append(float(ended.told["seconds"]))
            found["memory"].append(ended.peak_rss_mb)
    return found


def answer(films: int, options: argparse.Namespace) -> Found:
    """Ask the API for recommendations; memory is that of the server and its workers."""
    found: Found = {"time per request": [], "99th percentile": [], "memory": []}
    ratings = make_ratings(films * SERVED_RATINGS_PER_FILM, films=films, seed=options.seed)
    model = fit_model(ratings, options.factors, seed=options.seed)
    with postgres() as source:
        fill(source, ratings)
        with serving.serving(source, model, ratings.n_users, options) as server:
            for _ in range(options.runs):
                with PeakMemory(server.pid) as memory:
                    answers = server.recommend(serving.MIDDLE)
                found["time per request"].append(1000 / answers.rate)
                found["99th percentile"].append(answers.p99_ms)
                found["memory"].append(memory.megabytes)
    return found


STEPS = (
    Step("import", "ratings", import_files),
    Step("load", "ratings", load_whole),
    Step("dbt", "ratings", build_marts),
    Step("training", "ratings", train),
    Step("batch", "ratings", publish),
    Step("serving", "films", answer),
)
