"""The importer of MovieLens files; the baseline is a COPY of the same rows, which are prepared for it.

Use: .venv/bin/python benchmarks/import.py [--rows 1000000] [--quick] [--json OUT] [--plot OUT]

Ours reads, checks, stages and merges files in the form in which they are published. The baseline gets the
rows of the four tables, copies them into tables of the same columns without keys, and then builds the same
keys and indexes. It ends with tables of the same form and checks nothing. Only ours has triggers, foreign
keys and the ledger of changes.
"""

import argparse
import tempfile
import time
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from benchkit import CORE_PYTHON, ROOT
from benchkit.figures import Figure, at_least
from benchkit.postgres_data import GENRES, administrator
from benchkit.processes import run
from benchkit.program import log, main
from benchkit.synthetic_ratings import Ratings, make_ratings
from benchkit.timing import rates, run_interleaved
from dataflix_loader.database.staging import COPY_CHUNK_BYTES
from dataflix_testkit import PostgresServer, postgres

SIZES = {"rows": (1_000_000, 200_000, 2_000), "movies": (20_000, 5_000, 300)}
TABLES = ("users", "movies", "ratings", "watched_movies")


def write_movielens(folder: Path, ratings: Ratings) -> Path:
    """Write the files of an edition like ml-25m."""
    folder.mkdir()
    with (folder / "ratings.csv").open("wb") as sink:
        sink.write(b"userId,movieId,rating,timestamp\n")
        columns = (ratings.users, ratings.movies, ratings.stars, ratings.seconds)
        table = pa.table(dict(zip(("user", "movie", "stars", "seconds"), columns, strict=True)))
        csv.write_csv(table, sink, csv.WriteOptions(include_header=False))
    movies, links = ["movieId,title,genres\n"], ["movieId,imdbId,tmdbId\n"]
    for movie in range(1, ratings.n_movies + 1):
        first, second = GENRES[movie % len(GENRES)], GENRES[movie // 8 % len(GENRES)]
        genres = first if first == second else f"{first}|{second}"
        movies.append(f'{movie},"Movie of {movie}, The ({1930 + movie % 90})",{genres}\n')
        links.append(f"{movie},{movie:07},{movie}\n")
    (folder / "movies.csv").write_text("".join(movies))
    (folder / "links.csv").write_text("".join(links))
    return folder


class Imports:
    """The importer and its baseline on one server. Both return seconds."""

    def __init__(self, server: PostgresServer, files: Path, home: Path) -> None:
        self._server = server
        self._files = files
        self._home = home
        self._prepared: dict[str, Path] = {}
        self.peak = 0.0

    def ours(self) -> float:
        """Import the files into empty tables."""
        with administrator(self._server) as cursor:
            cursor.execute(f"TRUNCATE {', '.join(TABLES)} CASCADE")
        command = [
            str(CORE_PYTHON),
            str(ROOT / "scripts" / "import_movielens.py"),
            str(self._files),
            "--quiet",
        ]
        environ = {**self._server.environ, "DATAFLIX_HOME": str(self._home)}
        begun = time.perf_counter()
        result = run(command, environ)
        seconds = time.perf_counter() - begun
        self.peak = max(self.peak, result.peak_rss_mb)
        if not self._prepared:
            self._prepare()
        return seconds

    def copied(self) -> float:
        """Copy the rows that the importer made into other tables, then build their keys and indexes."""
        if not self._prepared:
            raise RuntimeError("run the importer first: the baseline copies its rows")
        with administrator(self._server) as cursor:
            cursor.execute("DROP SCHEMA IF EXISTS baseline CASCADE")
            cursor.execute("CREATE SCHEMA baseline")
            cursor.execute("SET maintenance_work_mem = '256MB'")
            cursor.execute(
                "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = ANY(%s)",
                (list(TABLES),),
            )
            indexes = [str(row[0]).replace(" ON public.", " ON baseline.") for row in cursor.fetchall()]
            for table in TABLES:
                cursor.execute(f"CREATE TABLE baseline.{table} (LIKE public.{table} INCLUDING DEFAULTS)")
            begun = time.perf_counter()
            for table, file in self._prepared.items():
                with file.open("rb") as stream:
                    cursor.copy_expert(
                        f"COPY baseline.{table} FROM STDIN (FORMAT csv)", stream, COPY_CHUNK_BYTES
                    )
            for statement in indexes:
                cursor.execute(statement)
            return time.perf_counter() - begun

    def _prepare(self) -> None:
        """Write the rows of an import to files."""
        self._home.mkdir(exist_ok=True)
        with administrator(self._server) as cursor:
            for table in TABLES:
                self._prepared[table] = self._home / f"{table}.csv"
                with self._prepared[table].open("wb") as sink:
                    cursor.copy_expert(f"COPY public.{table} TO STDOUT (FORMAT csv)", sink)


def measure(options: argparse.Namespace) -> list[Figure]:
    """Measure the importer and the copy."""
    log(f"writing a file of {options.rows:,} ratings")
    ratings = make_ratings(options.rows, movies=options.movies, seed=options.seed)
    with postgres() as server, tempfile.TemporaryDirectory() as folder:
        files = write_movielens(Path(folder) / "ml-synthetic", ratings)
        imports = Imports(server, files, Path(folder) / "home")
        log("importing")
        found = run_interleaved({"ours": imports.ours, "copy": imports.copied}, options.runs)
    name = f"import {options.rows:,}"
    ours, copied = rates(options.rows, found["ours"]), rates(options.rows, found["copy"])
    return [Figure.of(name, "ratings/s", ours, copied, at_least(0.5), peak=imports.peak)]


if __name__ == "__main__":
    main(__doc__ or "", SIZES, measure)
