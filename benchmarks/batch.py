"""Writes the top 20 of every user to the warehouse; the baseline is `recommend` of the `implicit` library.

Use: .venv/bin/python benchmarks/batch.py [--users 138000] [--quick] [--json OUT] [--plot OUT]

Ours folds in each user from their ratings, scores, leaves out seen movies, and writes the lists to
ClickHouse: once with the item-item weights of a trained model, and once by factors alone, as the library
does. The library gets the factors of movies and users and keeps its lists in memory. The model is fitted on
the ratings in a few iterations before anything is timed.
"""

import argparse
import tempfile
from pathlib import Path

from benchkit.figures import Figure, at_least, at_most
from benchkit.models import fit_model
from benchkit.processes import run_worker
from benchkit.program import log, main
from benchkit.synthetic_ratings import ROWS_PER_USER, Ratings, make_ratings
from benchkit.timing import rates, run_interleaved
from benchkit.warehouse_data import fill_marts
from dataflix_testkit import ClickHouseServer, clickhouse

SIZES = {"users": (138_000, 8_000, 60), "movies": (20_000, 10_000, 1_000), "factors": (128, 128, 8)}


class Batch:
    """Both ways to rank for the users. The methods return seconds unless they say otherwise."""

    def __init__(self, server: ClickHouseServer, folder: Path, options: argparse.Namespace) -> None:
        self._server = server
        self._options = options
        ratings = self._ratings(options.users)
        self._model = folder / "model"
        fit_model(ratings, options.factors, seed=options.seed).save(self._model)
        self._file = ratings.save(folder / "all.npz")
        fill_marts(server, ratings)
        self.peaks: list[float] = []

    def with_item_item_weights(self) -> float:
        """Publish with a model like the trainer's."""
        return self._publish(item_item=1)

    def factors_alone(self) -> float:
        """Publish with a model without item-item weights."""
        return self._publish(item_item=0)

    def quarter(self) -> float:
        """Publish for a quarter of the users only, and return the peak memory in megabytes."""
        fill_marts(self._server, self._ratings(self._options.users // 4))
        self._publish(item_item=1)
        return self.peaks.pop()

    def library(self) -> float:
        """Rank with the library."""
        return float(run_worker("implicit_recommend", self._file, self._model, environ={}).json["seconds"])

    def _ratings(self, users: int) -> Ratings:
        options = self._options
        return make_ratings(users * ROWS_PER_USER, users=users, movies=options.movies, seed=options.seed)

    def _publish(self, *, item_item: int) -> float:
        result = run_worker("publish", self._model, item_item, environ=self._server.environ)
        if not result.json["rows"]:
            raise RuntimeError("publish wrote no list")
        self.peaks.append(result.peak_rss_mb)
        return float(result.json["seconds"])


def measure(options: argparse.Namespace) -> list[Figure]:
    """Measure both ways, and the memory for a quarter of the users."""
    with clickhouse() as server, tempfile.TemporaryDirectory() as folder:
        log("fitting a model")
        batch = Batch(server, Path(folder), options)
        log(f"ranking for {options.users:,} users")
        tasks = {
            "full": batch.with_item_item_weights,
            "factors": batch.factors_alone,
            "library": batch.library,
        }
        found = run_interleaved(tasks, options.runs, warm_up=False)
        log("ranking for a quarter of the users")
        quarter = batch.quarter()
    library = rates(options.users, found["library"])
    name, peak = f"batch {options.users:,} users, {options.movies:,} movies", max(batch.peaks)
    return [
        Figure.of(name, "users/s", rates(options.users, found["full"]), library, at_least(1.3), peak=peak),
        Figure.of(
            f"{name}: factors alone",
            "users/s",
            rates(options.users, found["factors"]),
            library,
            at_least(1.3),
            peak=peak,
        ),
        # Four times the ratings are in memory. Lists and scores must not be.
        Figure.of(f"{name}: memory against a quarter", "MB", [peak], quarter, at_most(2.5), peak=peak),
    ]


if __name__ == "__main__":
    main(__doc__ or "", SIZES, measure)
