"""Runs of the load with no change and with many, on a small and on a large table.

Use: .venv/bin/python benchmarks/incremental.py [--rows 1000000] [--large 10000000] [--quick] [--json OUT]

A run carries every table, as the pipeline does, without what Airflow adds. The yardsticks are the seconds
that a run may take, and for the large table the same run on the small one.
"""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchkit import ELT_PYTHON
from benchkit.data import make_ratings
from benchkit.figures import Figure, at_most
from benchkit.oltp import administrator, fill
from benchkit.processes import worker
from benchkit.program import main, say
from benchkit.timing import in_turn
from dataflix_testkit import PostgresServer, clickhouse, postgres

SIZES = {
    "rows": (1_000_000, 100_000, 2_000),
    "large": (10_000_000, 1_000_000, 8_000),
    "films": (20_000, 5_000, 1_000),
    "changes": (100_000, 10_000, 200),
}
TABLES = ("users", "movies", "watched_movies", "ratings", "feedback")
NO_CHANGE_S, CHANGES_S = 2.0, 5.0
# Of the changes, half are other stars, three tenths are new ratings, and two tenths go away.
UPDATED, DELETED = 0.5, 0.2


class Pair:
    """A source with so many ratings and its copy; the methods are runs and return seconds."""

    def __init__(self, environ: dict[str, str], change: "Changes") -> None:
        self._environ = environ
        self._change = change
        self.peak = 0.0
        self._run("full")

    def without_change(self) -> float:
        """Run when nothing has happened."""
        return self._run("changes")

    def with_changes(self) -> float:
        """Run after the changes, which are not timed."""
        self._change()
        return self._run("changes", expect_changes=True)

    def _run(self, kind: str, *, expect_changes: bool = False) -> float:
        ended = worker("elt_load", kind, *TABLES, environ=self._environ, python=ELT_PYTHON)
        self.peak = max(self.peak, ended.peak_rss_mb)
        if kind == "changes" and set(ended.told["kinds"]) != {"changes"}:
            raise RuntimeError(f"a load was not of changes: {ended.told}")
        if expect_changes and not sum(ended.told["written"]):
            raise RuntimeError("the changes did not arrive")
        return float(ended.told["seconds"])


class Changes:
    """Changes of a table of so many ratings, other ones at each call."""

    def __init__(self, source: PostgresServer, rows: int, number: int) -> None:
        self._source = source
        self._rows = rows
        self._number = number
        self._calls = 0

    def __call__(self) -> None:
        """Change, add and remove ratings, each in a statement."""
        self._calls += 1
        updated, deleted = int(self._number * UPDATED), int(self._number * DELETED)
        added = self._number - updated - deleted
        with administrator(self._source) as cursor:
            rows = self._sample(updated, seed=2 * self._calls)
            cursor.execute(f"UPDATE ratings SET rating = 5.5 - rating WHERE ctid = ANY (ARRAY({rows}))")
            rows = self._sample(deleted, seed=2 * self._calls + 1)
            cursor.execute(f"DELETE FROM ratings WHERE ctid = ANY (ARRAY({rows}))")
            # Twice as many pairs as are wanted: few of all possible ones are taken.
            user, film = (
                f"abs(hashint8extended(n, {2 * self._calls + place})) % (SELECT max({key}) FROM {table}) + 1"
                for place, (key, table) in enumerate((("user_id", "users"), ("movie_id", "movies")))
            )
            cursor.execute(
                "INSERT INTO ratings (user_id, movie_id, rating) SELECT DISTINCT user_id, movie_id, 4 FROM"
                f" (SELECT {user} AS user_id, {film} AS movie_id FROM generate_series(1, {2 * added}) AS n)"
                " AS pairs WHERE NOT EXISTS (SELECT FROM ratings AS r WHERE r.user_id = pairs.user_id"
                f" AND r.movie_id = pairs.movie_id) LIMIT {added}"
            )

    def _sample(self, number: int, *, seed: int) -> str:
        """Return a query of the places of about so many rows, on pages far from each other."""
        # A tenth more than wanted is drawn, so that there are hardly ever too few.
        share = min(100.0, 110.0 * number / self._rows)
        sample = f"ratings TABLESAMPLE BERNOULLI ({share}) REPEATABLE ({seed})"
        return f"SELECT ctid FROM {sample} LIMIT {number}"


@contextmanager
def filled(rows: int, options: argparse.Namespace) -> Iterator[Pair]:
    """Yield a source of so many ratings that was loaded once."""
    say(f"filling Postgres with {rows:,} ratings, and loading them once")
    with postgres() as source, clickhouse() as target:
        fill(source, make_ratings(rows, films=options.films, seed=options.seed))
        yield Pair({**source.environ, **target.environ}, Changes(source, rows, options.changes))


def measure(options: argparse.Namespace) -> list[Figure]:
    """Measure both runs on both tables."""
    with ExitStack() as stack:
        small = stack.enter_context(filled(options.rows, options))
        large = stack.enter_context(filled(options.large, options))
        say("running")
        found = in_turn(
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
        ours, yardstick = found[prefix + "large"], found[prefix + "small"]
        figures.append(Figure.of(against, "s", ours, yardstick, at_most(1.5), peak=peaks["large"]))
    return figures


if __name__ == "__main__":
    main(__doc__ or "", SIZES, measure)
