"""Real services, and a warehouse filled with invented events."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from dataflix_recommender import DEFAULT_WEIGHT_ROWS, ConfidenceWeights
from dataflix_testkit import ClickHouseServer, MlflowServer, S3Server, clickhouse, mlflow, s3
from dataflix_trainer import cli

GENRES = ("Crime", "Romance", "Horror")
USERS, MOVIES, EVENTS = 150, 90, 20
TOKEN = "a-token-for-tests-only"

# As dbt makes them: the constants of its vars.
TABLES = """
CREATE TABLE analytics.user_item_matrix
    (user_id Int64, movie_id Int64, weight Float32, last_event_at DateTime64(6, 'UTC'))
    ENGINE = MergeTree ORDER BY (user_id, movie_id);
CREATE TABLE analytics.confidence_weights
    (rating Float32, liked String, kind String, weight Float32)
    ENGINE = MergeTree ORDER BY (rating, liked, kind);
CREATE TABLE analytics.dim_movies
    (movie_id Int64, title String, genres Array(String), release_year Nullable(Int16),
     duration_minutes Nullable(Int16), director Nullable(String), attributes String DEFAULT '{}')
    ENGINE = MergeTree ORDER BY movie_id;
CREATE TABLE analytics.ratings_aggregated
    (movie_id Int64, events_count UInt64, ratings_count UInt64, mean_rating Nullable(Float64),
     bayesian_mean Float64)
    ENGINE = MergeTree ORDER BY movie_id;
CREATE TABLE analytics.trending_movies (movie_id Int64, trending_score Float64)
    ENGINE = MergeTree ORDER BY movie_id;
CREATE TABLE analytics.data_source
    (source_name String, system_identifier String, database_oid UInt64)
    ENGINE = MergeTree ORDER BY source_name;
CREATE TABLE analytics.dim_users (user_id Int64) ENGINE = MergeTree ORDER BY user_id;
"""


@pytest.fixture(scope="session")
def weights() -> ConfidenceWeights:
    """The weights as the warehouse defines them."""
    return ConfidenceWeights.default()


def invented_events() -> pa.Table:
    """Each user likes one genre, and now and then tries another; movie 3 i + g is of genre g."""
    generator = np.random.default_rng(3)
    columns: dict[str, list[np.ndarray]] = {"user_id": [], "movie_id": [], "weight": [], "seconds": []}
    all_movies = np.arange(MOVIES)
    for user in range(1, USERS + 1):
        taste = user % len(GENRES)
        chance = np.where(all_movies % len(GENRES) == taste, 12.0, 1.0) / np.sqrt(1 + all_movies)
        movies = np.sort(generator.choice(MOVIES, EVENTS, replace=False, p=chance / chance.sum()))
        columns["user_id"].append(np.full(EVENTS, user))
        columns["movie_id"].append(100 + movies)
        liked = movies % len(GENRES) == taste
        columns["weight"].append(np.where(liked, 2.5, np.where(movies % 2 == 0, 0.5, -1.0)))
        columns["seconds"].append(generator.permutation(EVENTS) * 3600.0 + user)
    flat = {name: np.concatenate(parts) for name, parts in columns.items()}
    return pa.table(
        {
            "user_id": flat["user_id"].astype(np.int64),
            "movie_id": flat["movie_id"].astype(np.int64),
            "weight": flat["weight"].astype(np.float32),
            "last_event_at": pa.array(
                (1_700_000_000 + flat["seconds"]).astype(np.int64) * 1_000_000, pa.timestamp("us", "UTC")
            ),
        }
    )


class Relay:
    """Passes TCP connections on to a port of this machine, until it is cut or sent to another port."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._sockets: list[socket.socket] = []
        self._is_cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    @contextmanager
    def cut(self) -> Iterator[None]:
        """End all connections, and every new one, while the block runs."""
        self._is_cut = True
        self._close()
        try:
            yield
        finally:
            self._is_cut = False

    @contextmanager
    def sent_to(self, port: int) -> Iterator[None]:
        """Pass all new connections on to another port while the block runs, and end those of before."""
        before, self._target = self._target, port
        self._close()
        try:
            yield
        finally:
            self._target = before
            self._close()

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()
        self._close()

    def _close(self) -> None:
        for connection in self._sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._sockets.clear()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self._is_cut:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@dataclass
class Services:
    """The running services and the settings that lead to them; ``s3_relay`` is MLflow's way to S3."""

    clickhouse: ClickHouseServer
    s3: S3Server
    s3_relay: Relay
    mlflow: MlflowServer
    environ: dict[str, str]

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement as the administrator and return its rows."""
        client = self.clickhouse.client("dataflix_admin")
        try:
            if statement.lstrip().upper().startswith("SELECT"):
                return [tuple(row) for row in client.query(statement).result_rows]
            client.command(statement)
            return []
        finally:
            client.close()


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """ClickHouse with a filled warehouse, S3, and MLflow over it."""
    with ExitStack() as stack:
        # MLflow takes the longest to start, so the warehouse is started and filled meanwhile.
        pool = stack.enter_context(ThreadPoolExecutor(1))
        warehouse = pool.submit(lambda: filled_clickhouse(stack))
        storage = stack.enter_context(s3())
        relay = stack.enter_context(closing(Relay(urlsplit(storage.endpoint_url).port or 0)))
        tracking = stack.enter_context(
            mlflow(replace(storage, endpoint_url=f"http://127.0.0.1:{relay.port}"))
        )
        home = tmp_path_factory.mktemp("home")
        ch = warehouse.result()
        environ = {
            **ch.environ,
            **storage.environ,
            **tracking.environ,
            "DATAFLIX_HOME": str(home),
            "DATAFLIX_ENV_FILE": str(home / "none.env"),
            "DATAFLIX_TRAINER_TOKEN": TOKEN,
        }
        yield Services(ch, storage, relay, tracking, environ)


def filled_clickhouse(stack: ExitStack) -> ClickHouseServer:
    """Start ClickHouse and fill the warehouse."""
    server = stack.enter_context(clickhouse())
    fill(server)
    return server


def make_tables(server: ClickHouseServer) -> None:
    """Make the tables that the trainer reads."""
    client = server.client("dataflix_admin")
    for statement in filter(None, map(str.strip, TABLES.split(";"))):
        client.command(statement)
    client.close()


@pytest.fixture(scope="session")
def tables() -> Callable[[ClickHouseServer], None]:
    """Makes the empty tables in a server."""
    return make_tables


def fill(server: ClickHouseServer) -> None:
    """Make and fill the tables that the trainer reads."""
    make_tables(server)
    client = server.client("dataflix_admin")
    client.insert_arrow("analytics.user_item_matrix", invented_events())
    client.insert(
        "analytics.confidence_weights", DEFAULT_WEIGHT_ROWS, column_names=["rating", "liked", "weight"]
    )
    movies = [
        (100 + i, f"Movie {i}", [GENRES[i % len(GENRES)]], 1990 + i % 30 if i % 7 else None, 80 + i)
        for i in range(MOVIES)
    ]
    # One movie that nobody has seen and one user without events.
    client.insert(
        "analytics.dim_movies",
        [*movies, (1000, "Unseen", [], None, None)],
        column_names=["movie_id", "title", "genres", "release_year", "duration_minutes"],
    )
    client.command(
        "INSERT INTO analytics.ratings_aggregated "
        "SELECT movie_id, count(), count(), avg(weight) + 2.5, "
        "(25 + sum(weight) + 2.5 * count()) / (10 + count()) "
        "FROM analytics.user_item_matrix GROUP BY movie_id"
    )
    client.command(
        "INSERT INTO analytics.trending_movies SELECT movie_id, count() / 10 FROM analytics.user_item_matrix "
        "GROUP BY movie_id"
    )
    client.command("INSERT INTO analytics.data_source VALUES ('dataflix', '', 0)")
    client.command("INSERT INTO analytics.dim_users SELECT number + 1 FROM numbers(151)")
    client.close()


@pytest.fixture(scope="session")
def trainer(services: Services) -> Callable[..., Result]:
    """Run ``trainer ...`` with the services' settings; keyword arguments change settings."""

    def run(*words: str, **settings: str) -> Result:
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("DATAFLIX_")]:
                patch.delenv(name)
            for name, value in (services.environ | settings).items():
                patch.setenv(name, value)
            return CliRunner().invoke(cli.main, list(words), catch_exceptions=False)

    return run


@pytest.fixture(scope="session")
def movielens() -> Path:
    """The folder of a MovieLens edition with ratings.csv."""
    folder = os.environ.get("MOVIELENS_DIR")
    if not folder:
        pytest.skip("MOVIELENS_DIR names no MovieLens folder")
    return Path(folder)
