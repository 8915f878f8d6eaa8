"""`GET /recommendations/{user}` on a running API; the baseline is the route `/healthz` of the same server.

Use: .venv/bin/python benchmarks/serving.py [--movies 20000] [--more-movies 60000] [--quick] [--json OUT]

The server is gunicorn with two workers, as it is deployed. Each request checks the key, reads the user's
ratings from Postgres, folds them in, filters, ranks, explains and writes JSON. The model is fitted to the
same ratings, because the number of movies that must be scored depends on its factors. The client, wrk or our
own, runs on the same cores. While the server swaps models, no request may fail.
"""

import argparse
import json
import secrets
import shlex
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import requests

from benchkit import CORE_PYTHON
from benchkit.figures import Figure, at_least, at_most
from benchkit.http_load import LoadResult, client_name, python_client, run_load
from benchkit.memory import PeakMemory
from benchkit.models import fit_model, random_model
from benchkit.postgres_data import fill
from benchkit.program import log, main
from benchkit.synthetic_ratings import Ratings, make_ratings
from benchkit.timing import Task, run_interleaved
from dataflix_backend.services.model.files import ModelEntry, read_current, write_current
from dataflix_recommender import Model
from dataflix_testkit import PostgresServer, free_port, postgres
from dataflix_testkit.process import clean_environ, server_process

SIZES = {
    "movies": (20_000, 20_000, 500),
    "more-movies": (60_000, 60_000, 0),
    "factors": (128, 128, 8),
    "rows": (1_000_000, 100_000, 3_000),
    "load-ms": (10_000, 2_000, 300),
}
CONCURRENCIES = (1, 4, 16)
# The number of connections whose latency has a target.
TARGET_CONCURRENCY = 4
P99_LIMIT_MS = 10.0
WORKERS = 2
# Two servers on one database have the same first key: another one would replace it.
KEY = secrets.token_hex(16)
# A busy machine may take this many rounds of two seconds to swap a model.
SWAP_ROUNDS = 30


class Server:
    """The running API, and loads on it."""

    def __init__(
        self, port: int, pid: int, models: Path, *, key: str, users: int, options: argparse.Namespace
    ) -> None:
        self.port = port
        self.pid = pid
        self._models = models
        self._headers = {"X-API-Key": key}
        self._seconds = options.load_ms / 1000
        user_ids = np.random.default_rng(options.seed).permutation(users) + 1
        self._paths = [f"/recommendations/{user}?n=10" for user in user_ids[:2000]]
        self.failed = 0

    def recommend(self, concurrency: int) -> LoadResult:
        """Request recommendations for random users."""
        return self._counted(
            run_load(self.port, self._paths, self._headers, concurrency=concurrency, seconds=self._seconds)
        )

    def healthz(self, concurrency: int) -> LoadResult:
        """Request `/healthz`."""
        return self._counted(
            run_load(self.port, ["/healthz"], {}, concurrency=concurrency, seconds=self._seconds)
        )

    def versions(self) -> set[str | None]:
        """Return the model versions that answer, over enough requests to reach every worker."""
        return _versions(
            python_client(self.port, self._paths, self._headers, concurrency=16, seconds=1, keep_bodies=True)
        )

    def swap_under_load(self, model: Model) -> tuple[LoadResult, set[str | None]]:
        """Publish another model under load; return the result and the model versions that answered."""
        swap = threading.Timer(self._seconds / 2, lambda: publish(self._models, "2", model))
        swap.start()
        result = self._load(self._seconds)
        for _ in range(SWAP_ROUNDS):
            # Workers look for a new model within this time.
            more = self._load(2)
            result = replace(
                result,
                count=result.count + more.count,
                failed=result.failed + more.failed,
                bodies=result.bodies + more.bodies,
            )
            if len(_versions(more)) == 1 and _versions(more) != _versions(result):
                break
        swap.join()
        return result, _versions(result)

    def _load(self, seconds: float) -> LoadResult:
        return python_client(
            self.port,
            self._paths,
            self._headers,
            concurrency=TARGET_CONCURRENCY,
            seconds=seconds,
            keep_bodies=True,
        )

    def _counted(self, result: LoadResult) -> LoadResult:
        self.failed += result.failed
        return result


def _versions(result: LoadResult) -> set[str | None]:
    return {json.loads(body)["meta"]["model_version"] for body in result.bodies}


def publish(models: Path, version: str, model: Model) -> None:
    """Publish a model to the directory that the workers watch, as the synchroniser does."""
    models.mkdir(parents=True, exist_ok=True)
    current = read_current(models)
    model.save(models / f"{version}-benchmark")
    write_current(models, ModelEntry(version, f"{version}-benchmark"), current.entry if current else None)


@contextmanager
def serving(
    source: PostgresServer, model: Model, users: int, options: argparse.Namespace, *gunicorn: str
) -> Iterator[Server]:
    """Run the API with a model; ``gunicorn`` are options that replace those of its configuration."""
    with tempfile.TemporaryDirectory(prefix="dataflix-bench-") as folder:
        home, port = Path(folder), free_port()
        publish(home / "models", "1", model)
        environ = {
            **source.environ,
            "DATAFLIX_HOME": folder,
            "DATAFLIX_ENV_FILE": str(home / "none.env"),
            "DATAFLIX_API_KEY": KEY,
            "DATAFLIX_BACKEND_PORT": str(port),
            "DATAFLIX_BACKEND_WORKERS": str(WORKERS),
            "GUNICORN_CMD_ARGS": shlex.join(gunicorn),
        }

        def ready() -> bool:
            try:
                return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=2).ok
            except requests.RequestException:
                return False

        command = [str(CORE_PYTHON.with_name("dataflix-backend")), "serve"]
        with server_process(
            command, ready=ready, log=home / "log", environ=clean_environ(environ)
        ) as process:
            server = Server(port, process.pid, home / "models", key=KEY, users=users, options=options)
            if server.versions() != {"1"}:
                raise RuntimeError(f"the server does not use the model: {(home / 'log').read_text()[-2000:]}")
            yield server


def measure(options: argparse.Namespace) -> list[Figure]:
    """Measure with both numbers of movies."""
    log(f"the client is {client_name()}")
    figures = []
    for movies in filter(None, (options.movies, options.more_movies)):
        ratings = make_ratings(options.rows, movies=movies, seed=options.seed)
        with postgres() as source:
            log(f"filling Postgres with {movies:,} movies")
            fill(source, ratings)
            figures += _catalogue(source, ratings, options)
            if movies == options.movies:
                figures += _workers(source, ratings, options)
    return figures


def _catalogue(source: PostgresServer, ratings: Ratings, options: argparse.Namespace) -> list[Figure]:
    movies = ratings.n_movies
    log("fitting a model")
    model = fit_model(ratings, options.factors, seed=options.seed)
    # Any other model will do for the swap.
    successor = random_model(movies, options.factors, seed=options.seed)
    p99: list[float] = []

    with serving(source, model, ratings.n_users, options) as server, PeakMemory(server.pid) as memory:

        def ours(concurrency: int) -> float:
            result = server.recommend(concurrency)
            if concurrency == TARGET_CONCURRENCY:
                p99.append(result.p99_ms)
            return result.rate

        tasks = {}
        for concurrency in CONCURRENCIES:
            tasks[f"ours {concurrency}"] = lambda c=concurrency: ours(c)
            tasks[f"healthz {concurrency}"] = lambda c=concurrency: server.healthz(c).rate
        log("requesting recommendations")
        found = run_interleaved(tasks, options.runs)
        log("swapping models")
        swapped, versions = server.swap_under_load(successor)
    if versions != {"1", "2"}:
        raise RuntimeError(f"the swap did not happen: versions {sorted(map(str, versions))} answered")
    name, peak = f"serving {movies:,} movies", memory.megabytes
    lost = server.failed + swapped.failed
    return [
        *(
            Figure.of(
                f"{name}, {concurrency} at once",
                "requests/s",
                found[f"ours {concurrency}"],
                found[f"healthz {concurrency}"],
                at_least(0.6),
                peak=peak,
            )
            for concurrency in CONCURRENCIES
        ),
        Figure.of(
            f"{name}, {TARGET_CONCURRENCY} at once: p99",
            "ms",
            p99[-options.runs :],
            P99_LIMIT_MS,
            at_most(1),
            peak=peak,
        ),
        # The ratio is exactly 1 when no request is lost.
        Figure.of(
            f"{name}: answered during a swap",
            "requests",
            [swapped.count],
            float(swapped.count + lost),
            at_least(1),
            peak=peak,
        ),
    ]


def _rate(load: Callable[[int], LoadResult], concurrency: int) -> float:
    return load(concurrency).rate


def _workers(source: PostgresServer, ratings: Ratings, options: argparse.Namespace) -> list[Figure]:
    """Compare our gunicorn worker, which reads requests outside its threads, with gunicorn's own."""
    model = random_model(ratings.n_movies, options.factors, seed=options.seed)
    users = ratings.n_users
    with (
        serving(source, model, users, options) as ours,
        serving(source, model, users, options, "--worker-class", "gthread") as gunicorns,
    ):
        tasks: dict[str, Task] = {}
        for name, server in (("ours", ours), ("gthread", gunicorns)):
            for concurrency in CONCURRENCIES:
                tasks[f"{name} {concurrency}"] = partial(_rate, server.healthz, concurrency)
            tasks[f"{name} lists"] = partial(_rate, server.recommend, TARGET_CONCURRENCY)
        log("comparing workers")
        found = run_interleaved(tasks, options.runs)
    if ours.failed or gunicorns.failed:
        raise RuntimeError(f"{ours.failed} and {gunicorns.failed} requests failed")
    names = {
        **{str(concurrency): f"/healthz {concurrency} at once" for concurrency in CONCURRENCIES},
        "lists": f"lists {TARGET_CONCURRENCY} at once",
    }
    return [
        Figure.of(
            f"our worker against gunicorn's: {name}",
            "requests/s",
            found[f"ours {key}"],
            found[f"gthread {key}"],
            at_least(0.95),
        )
        for key, name in names.items()
    ]


if __name__ == "__main__":
    main(__doc__ or "", SIZES, measure)
