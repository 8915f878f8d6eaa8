"""ClickHouse's HTTP interface over chDB; the baseline is the same engine in process.

Use: .venv/bin/python benchmarks/embedded.py [--rows 5000000] [--quick] [--json OUT] [--plot OUT]

Both insert the same CSV file, read the table in Native format, group it by movie, and group it for eight
clients at once. The engine in process reads the file itself and returns the result as one block of memory.
"""

import argparse
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import requests

from benchkit.figures import Figure, at_least
from benchkit.memory import PeakMemory
from benchkit.postgres_data import as_csv
from benchkit.processes import run_worker
from benchkit.program import log, main
from benchkit.synthetic_ratings import make_ratings
from benchkit.timing import rates, run_interleaved, timed
from dataflix_testkit import ClickHouseServer, clickhouse
from workers.chdb_engine import CREATE, GROUP, SCAN

SIZES = {"rows": (5_000_000, 1_000_000, 5_000), "movies": (20_000, 5_000, 500), "clients": (8, 8, 2)}
CHUNK_BYTES = 1 << 20


class Http:
    """The statements over HTTP. The methods return seconds."""

    def __init__(self, server: ClickHouseServer, file: Path, clients: int) -> None:
        self._url = f"http://{server.host}:{server.port}/"
        self._login = {
            "X-ClickHouse-User": "dataflix_admin",
            "X-ClickHouse-Key": server.environ["DATAFLIX_CLICKHOUSE_ADMIN_PASSWORD"],
        }
        self._file = file
        self._sessions = [requests.Session() for _ in range(clients)]

    def insert(self) -> float:
        """Stream the file into an empty table."""
        for statement in ("DROP DATABASE IF EXISTS bench SYNC", "CREATE DATABASE bench", CREATE):
            self._send(self._sessions[0], statement)
        return timed(self._stream)()

    def scan(self) -> float:
        """Read every row."""
        return timed(lambda: self._send(self._sessions[0], SCAN))()

    def group(self) -> float:
        """Group by movie."""
        return timed(lambda: self._send(self._sessions[0], GROUP))()

    def concurrent(self) -> float:
        """Group by movie for all clients at once."""
        with ThreadPoolExecutor(len(self._sessions)) as pool:
            return timed(lambda: list(pool.map(lambda session: self._send(session, GROUP), self._sessions)))()

    def _stream(self) -> None:
        with self._file.open("rb") as stream:
            chunks = iter(lambda: stream.read(CHUNK_BYTES), b"")
            statement = {"query": "INSERT INTO bench.ratings FORMAT CSV"}
            answer = requests.post(self._url, params=statement, data=chunks, headers=self._login, timeout=600)
            answer.raise_for_status()

    def _send(self, session: requests.Session, statement: str) -> None:
        parameters = {"default_format": "Native"}
        with session.post(
            self._url,
            params=parameters,
            data=statement.encode(),
            headers=self._login,
            timeout=600,
            stream=True,
        ) as answer:
            answer.raise_for_status()
            for _ in answer.iter_content(CHUNK_BYTES):
                pass


def measure(options: argparse.Namespace) -> list[Figure]:
    """Measure all four, interleaved: a round over HTTP, then a process with the engine."""
    ratings = make_ratings(options.rows, movies=options.movies, seed=options.seed)
    columns = (ratings.users, ratings.movies, ratings.stars, ratings.seconds)
    with tempfile.TemporaryDirectory() as folder, clickhouse() as server, PeakMemory(server.pid) as memory:
        file = Path(folder) / "ratings.csv"
        names = ("user_id", "movie_id", "rating", "seconds")
        file.write_bytes(as_csv(pa.table(dict(zip(names, columns, strict=True)))))
        http = Http(server, file, options.clients)
        in_process: dict[str, list[float]] = {}

        def engine() -> float:
            words = (Path(folder) / "engine", file, options.clients, 1)
            for name, seconds in run_worker("chdb_engine", *words, environ={}).json.items():
                in_process.setdefault(name, []).extend(seconds)
            return 0.0

        log("running")
        tasks: dict[str, Callable[[], float]] = {
            "insert": http.insert,
            "scan": http.scan,
            "group": http.group,
            "concurrent": http.concurrent,
        }
        found = run_interleaved({**tasks, "engine": engine}, options.runs)
    titles = {
        "insert": "insert",
        "scan": "scan",
        "group": "group by",
        "concurrent": f"{options.clients} clients",
    }
    return [
        Figure.of(
            f"embedded {options.rows:,}: {title}",
            "rows/s",
            rates(amount := options.rows * (options.clients if name == "concurrent" else 1), found[name]),
            rates(amount, in_process[name][-options.runs :]),
            at_least(0.7),
            peak=memory.megabytes,
        )
        for name, title in titles.items()
    ]


if __name__ == "__main__":
    main(__doc__ or "", SIZES, measure)
