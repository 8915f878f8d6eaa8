"""Incremental loads with no change and with many changes, on a small and a large table.

Use: .venv/bin/python benchmarks/incremental.py [--rows 1000000] [--large 10000000] [--quick] [--json OUT]

A run loads every table, as the pipeline does, without the time that Airflow adds. The baselines are the
seconds that a run may take, and for the large table the same run on the small one.
"""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchkit import ELT_PYTHON
from benchkit.figures import Figure, at_most
from benchkit.postgres_data import administrator, fill
from benchkit.processes import run_worker
from benchkit.program import log, main
from benchkit.synthetic_ratings import make_ratings
from benchkit.timing import run_interleaved
from dataflix_testkit import PostgresServer, clickhouse, postgres

SIZES = {
    "rows": (1_000_000, 100_000, 2_000),
    "large": (10_000_000, 1_000_000, 8_000),
    "movies": (20_000, 5_000, 1_000),
    "changes": (100_000, 10_000, 200),
}
TABLES = ("users", "movies", "watched_movies", "ratings", "feedback")
NO_CHANGE_S, CHANGES_S = 2.0, 5.0
# Half of the changes are updates, three tenths are new ratings, and two tenths are deletes.
UPDATED, DELETED = 0.5, 0.2


class Pair:
    """A source and the warehouse it is loaded into. The methods are runs and return seconds."""

    def __init__(self, environ: dict[str, str], change: "Changes") -> None:
        self._environ = environ
        self._change = change
        self.peak = 0.0
        self._run("full")

    def without_change(self) -> float:
        """Run when nothing has changed."""
        return self._run("incremental")

    def with_changes(self) -> float:
        """Run after changes. Making the changes is not timed."""
        self._change()
        return self._run("incremental", expect_changes=True)

    def _run(self, kind: str, *, expect_changes: bool = False) -> float:
        result = run_worker("elt_load", kind, *TABLES, environ=self._environ, python=ELT_PYTHON)
        self.peak = max(self.peak, result.peak_rss_mb)
        if kind == "incremental" and set(result.json["kinds"]) != {"incremental"}:
            raise RuntimeError(f"a load was not incremental: {result.json}")
        if expect_changes and not sum(result.json["written"]):
            raise RuntimeError("the load wrote no changes")
        return float(result.json["seconds"])


class Changes:
    """Changes to a table of ``rows`` ratings. Each call makes ``number`` others."""

    def __init__(self, source: PostgresServer, rows: int, number: int) -> None:
        self._source = source
        self._rows = rows
        self._number = number
        self._calls = 0

    def __call__(self) -> None:
        """Update, insert and delete ratings, each in one statement."""
        self._calls += 1
        updated, deleted = int(self._number * UPDATED), int(self._number * DELETED)
        added = self._number - updated - deleted
        with administrator(self._source) as cursor:
            rows = self._sample(updated, seed=2 * self._calls)
            cursor.execute(f"UPDATE ratings SET rating = 5.5 - rating WHERE ctid = ANY (ARRAY({rows}))")
            rows = self._sample(deleted, seed=2 * self._calls + 1)
            cursor.execute(f"DELETE FROM ratings WHERE ctid = ANY (ARRAY({rows}))")
            # Draw twice as many pairs as needed: some exist already or are drawn twice.
            user, movie = (
                f"abs(hashint8extended(n, {2 * self._calls + place})) % (SELECT max({key}) FROM {table}) + 1"
                for place, (key, table) in enumerate((("user_id", "users"), ("movie_id", "movies")))
            )
            cursor.execute(
                "INSERT INTO ratings (user_id, movie_id, rating) SELECT DISTINCT user_id, movie_id, 4 FROM"
                f" (SELECT {user} AS user_id, {movie} AS movie_id FROM generate_series(1, {2 * added}) AS n)"
                " AS pairs WHERE NOT EXISTS (SELECT FROM ratings AS r WHERE r.user_id = pairs.user_id"
                f" AND r.movie_id = pairs.movie_id) LIMIT {added}"
            )

    def _sample(self, number: int, *, seed: int) -> str:
        """Return a query of the ctids of up to ``number`` rows that are spread over the table."""
        # Draw a tenth more than needed, so that there are hardly ever too few.
        share = min(100.0, 110.0 * number / self._rows)
        sample = f"ratings TABLESAMPLE BERNOULLI ({share}) REPEATABLE ({seed})"
        return f"SELECT ctid FROM {sample} LIMIT {number}"


@contextmanager
def loaded(rows: int, options: argparse.Namespace) -> Iterator[Pair]:
    """Yield a source with ``rows`` ratings that has been loaded once."""
    log(f"filling Postgres with {rows:,} ratings and loading them once")
    with postgres() as source, clickhouse() as target:
        fill(source, make_ratings(rows, movies=options.movies, seed=options.seed))
        yield Pair({**source.environ, **target.environ}, Changes(source, rows, options.changes))


def measure(options: argparse.Namespace) -> list[Figure]:
    """Measure both runs on both tables."""
    with ExitStack() as stack:
        small = stack.enter_context(loaded(options.rows, options))
        large = stack.enter_context(loaded(options.large, options))
        log("running")
        found = run_interleaved(
            {
                "still small": small.without_change,
                "still large": large.without_change,
                "small": small.with_changes,
                "large": large.with_changes,
            },
            options.runs,
        )
        peaks = {"small": small.peak, "large": large.peak}
    figures = []
    for what, prefix, limit in (
        ("no change", "still ", NO_CHANGE_S),
        (f"{options.changes:,} changes", "", CHANGES_S),
    ):
        for size, rows in (("small", options.rows), ("large", options.large)):
            name, ours = f"incremental {rows:,}: {what}", found[prefix + size]
            figures.append(Figure.of(name, "s", ours, limit, at_most(1), peak=peaks[size]))
        against = f"incremental {options.large:,} against {options.rows:,}: {what}"
        ours, baseline = found[prefix + "large"], found[prefix + "small"]
        figures.append(Figure.of(against, "s", ours, baseline, at_most(1.5), peak=peaks["large"]))
    return figures


if __name__ == "__main__":
    main(__doc__ or "", SIZES, measure)
