"""Everybody's top 20 into the warehouse, against the library's `recommend` for the same people and films.

Use: .venv/bin/python benchmarks/batch.py [--users 138000] [--quick] [--json OUT] [--plot OUT]

Ours folds each person in from their ratings, scores, leaves out what they have seen, and writes the lists to
ClickHouse: with the links between films that a trained model has, and by factors alone as the library does.
The library is given the same films' factors, and the people's, and keeps its lists in memory. The model is
fitted on the ratings in a few iterations, before anything is timed.
"""

import argparse
import tempfile
from pathlib import Path

from benchkit.data import ROWS_PER_USER, Ratings, make_ratings
from benchkit.figures import Figure, at_least, at_most
from benchkit.lake import fill_marts
from benchkit.models import fit_model
from benchkit.processes import worker
from benchkit.program import main, say
from benchkit.timing import in_turn, rates
from dataflix_testkit import ClickHouseServer, clickhouse

SIZES = {"users": (138_000, 8_000, 60), "films": (20_000, 10_000, 1_000), "factors": (128, 128, 8)}


class Batch:
    """Both ways for so many users; the methods return seconds."""

    def __init__(self, server: ClickHouseServer, folder: Path, options: argparse.Namespace) -> None:
        self._server = server
        self._options = options
        everybody = self._invent(options.users)
        self._model = folder / "model"
        fit_model(everybody, options.factors, seed=options.seed).save(self._model)
        self._file = everybody.save(folder / "all.npz")
        fill_marts(server, everybody)
        self.peaks: list[float] = []

    def with_links(self) -> float:
        """Publish with a model as the trainer makes it."""
        return self._publish(links=1)

    def by_factors(self) -> float:
        """Publish with a model without links."""
        return self._publish(links=0)

    def quarter(self) -> float:
        """Publish for a quarter of the users, who take all others' place; returns the megabytes it took."""
        fill_marts(self._server, self._invent(self._options.users // 4))
        self._publish(links=1)
        return self.peaks.pop()

    def library(self) -> float:
        """Have the library rank."""
        return float(worker("implicit_recommend", self._file, self._model, environ={}).told["seconds"])

    def _invent(self, users: int) -> Ratings:
        some = self._options
        return make_ratings(users * ROWS_PER_USER, users=users, films=some.films, seed=some.seed)

    def _publish(self, *, links: int) -> float:
        ended = worker("publish", self._model, links, environ=self._server.environ)
        if not ended.told["rows"]:
            raise RuntimeError("no list was written")
        self.peaks.append(ended.peak_rss_mb)
        return float(ended.told["seconds"])


def measure(options: argparse.Namespace) -> list[Figure]:
    """Measure both."""
    with clickhouse() as server, tempfile.TemporaryDirectory() as folder:
        say("fitting a model")
        work = Batch(server, Path(folder), options)
        say(f"ranking for {options.users:,} users")
        works = {"links": work.with_links, "factors": work.by_factors, "library": work.library}
        found = in_turn(works, options.runs, warm_up=False)
        say("ranking for a quarter of them")
        quarter = work.quarter()
    library = rates(options.users, found["library"])
    name, peak = f"batch {options.users:,} users, {options.films:,} films", max(work.peaks)
    return [
        Figure.of(name, "users/s", rates(options.users, found["links"]), library, at_least(1.3), peak=peak),
        Figure.of(
            f"{name}: factors alone",
            "users/s",
            rates(options.users, found["factors"]),
            library,
            at_least(1.3),
            peak=peak,
        ),
        # The ratings themselves are in memory, four times as many; the lists and scores may not be.
        Figure.of(f"{name}: memory against a quarter", "MB", [peak], quarter, at_most(2.5), peak=peak),
    ]


if __name__ == "__main__":
    main(__doc__ or "", SIZES, measure)
