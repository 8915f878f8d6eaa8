"""`GET /recommendations/{user}` through the whole path, against the same server's empty route.

Use: .venv/bin/python benchmarks/serving.py [--films 20000] [--more-films 60000] [--quick] [--json OUT]

The server is gunicorn with two workers, as it is deployed; each request is checked for its key, reads the
person's ratings from Postgres, folds them in, filters, ranks, explains and writes JSON. The model is fitted
to the same ratings: how many films must be scored depends on its factors. The client, wrk or our own, runs on
the same cores. During a swap of models no request may fail.
"""

import argparse
import json
import secrets
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import requests

from benchkit import CORE_PYTHON
from benchkit.data import Ratings, make_ratings
from benchkit.figures import Figure, at_least, at_most
from benchkit.load import Answers, client, load, own_client
from benchkit.memory import PeakMemory
from benchkit.models import fit_model, make_model
from benchkit.oltp import fill
from benchkit.program import main, say
from benchkit.timing import in_turn
from dataflix_backend.serving.files import ModelEntry, read_current, write_current
from dataflix_recommender import Model
from dataflix_testkit import PostgresServer, free_port, postgres
from dataflix_testkit.process import clean_environ, server_process

SIZES = {
    "films": (20_000, 20_000, 500),
    "more-films": (60_000, 60_000, 0),
    "factors": (128, 128, 8),
    "rows": (1_000_000, 100_000, 3_000),
    "load-ms": (10_000, 2_000, 300),
}
CONCURRENCIES = (1, 4, 16)
# The one whose latency has a goal.
MIDDLE = 4
P99_LIMIT_MS = 10.0
WORKERS = 2
# A machine that has other things to do may take as long as this times two seconds to swap a model.
SWAP_ROUNDS = 30


class Server:
    """The running API, and the two loads on it."""

    def __init__(
        self, port: int, pid: int, models: Path, *, key: str, users: int, options: argparse.Namespace
    ) -> None:
        self.port = port
        self.pid = pid
        self._models = models
        self._headers = {"X-API-Key": key}
        self._seconds = options.load_ms / 1000
        everybody = np.random.default_rng(options.seed).permutation(users) + 1
        self._paths = [f"/recommendations/{user}?n=10" for user in everybody[:2000]]
        self.failed = 0

    def recommend(self, concurrency: int) -> Answers:
        """Ask for recommendations of people at random."""
        return self._kept(
            load(self.port, self._paths, self._headers, concurrency=concurrency, seconds=self._seconds)
        )

    def empty(self, concurrency: int) -> Answers:
        """Ask the route that does nothing."""
        return self._kept(load(self.port, ["/healthz"], {}, concurrency=concurrency, seconds=self._seconds))

    def versions(self) -> set[str | None]:
        """Return the versions that answer, having asked every worker."""
        return _versions(
            own_client(self.port, self._paths, self._headers, concurrency=16, seconds=1, keep_bodies=True)
        )

    def swapped(self, model: Model) -> tuple[Answers, set[str | None]]:
        """Ask on while another model takes the place of the present one; returns who answered, too."""
        swap = threading.Timer(self._seconds / 2, lambda: publish(self._models, "2", model))
        swap.start()
        answers = self._asked(self._seconds)
        for _ in range(SWAP_ROUNDS):
            # Long enough for the workers to look for a new model.
            more = self._asked(2)
            answers = replace(
                answers,
                count=answers.count + more.count,
                failed=answers.failed + more.failed,
                bodies=answers.bodies + more.bodies,
            )
            if len(_versions(more)) == 1 and _versions(more) != _versions(answers):
                break
        swap.join()
        return answers, _versions(answers)

    def _asked(self, seconds: float) -> Answers:
        return own_client(
            self.port, self._paths, self._headers, concurrency=MIDDLE, seconds=seconds, keep_bodies=True
        )

    def _kept(self, answers: Answers) -> Answers:
        self.failed += answers.failed
        return answers


def _versions(answers: Answers) -> set[str | None]:
    return {json.loads(body)["meta"]["model_version"] for body in answers.bodies}


def publish(models: Path, version: str, model: Model) -> None:
    """Put a model where the workers look, as the synchroniser does."""
    models.mkdir(parents=True, exist_ok=True)
    current = read_current(models)
    model.save(models / f"{version}-benchmark")
    write_current(models, ModelEntry(version, f"{version}-benchmark"), current.entry if current else None)


@contextmanager
def serving(
    source: PostgresServer, model: Model, users: int, options: argparse.Namespace
) -> Iterator[Server]:
    """Run the API on a model."""
    with tempfile.TemporaryDirectory(prefix="dataflix-bench-") as folder:
        home, port, key = Path(folder), free_port(), secrets.token_hex(16)
        publish(home / "models", "1", model)
        environ = {
            **source.environ,
            "DATAFLIX_HOME": folder,
            "DATAFLIX_ENV_FILE": str(home / "none.env"),
            "DATAFLIX_API_KEY": key,
            "DATAFLIX_BACKEND_PORT": str(port),
            "DATAFLIX_BACKEND_WORKERS": str(WORKERS),
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
            server = Server(port, process.pid, home / "models", key=key, users=users, options=options)
            if server.versions() != {"1"}:
                raise RuntimeError(f"the model is not served: {(home / 'log').read_text()[-2000:]}")
            yield server


def measure(options: argparse.Namespace) -> list[Figure]:
    """Measure with both catalogues."""
    say(f"the client is {client()}")
    figures = []
    for films in filter(None, (options.films, options.more_films)):
        ratings = make_ratings(options.rows, films=films, seed=options.seed)
        with postgres() as source:
            say(f"filling Postgres with {films:,} films")
            fill(source, ratings)
            figures += _catalogue(source, ratings, options)
    return figures


def _catalogue(source: PostgresServer, ratings: Ratings, options: argparse.Namespace) -> list[Figure]:
    films = ratings.n_films
    say("fitting a model")
    model = fit_model(ratings, options.factors, seed=options.seed)
    # Of the one that takes its place only that it is another matters.
    successor = make_model(films, options.factors, seed=options.seed)
    p99: list[float] = []

    with serving(source, model, ratings.n_users, options) as server, PeakMemory(server.pid) as memory:

        def ours(concurrency: int) -> float:
            answers = server.recommend(concurrency)
            if concurrency == MIDDLE:
                p99.append(answers.p99_ms)
            return answers.rate

        works = {}
        for concurrency in CONCURRENCIES:
            works[f"ours {concurrency}"] = lambda c=concurrency: ours(c)
            works[f"empty {concurrency}"] = lambda c=concurrency: server.empty(c).rate
        say("asking")
        found = in_turn(works, options.runs)
        say("swapping models")
        swapped, versions = server.swapped(successor)
    if versions != {"1", "2"}:
        raise RuntimeError(f"the swap was not seen: versions {sorted(map(str, versions))} answered")
    name, peak = f"serving {films:,} films", memory.megabytes
    lost = server.failed + swapped.failed
    return [
        *(
            Figure.of(
                f"{name}, {concurrency} at once",
                "requests/s",
                found[f"ours {concurrency}"],
                found[f"empty {concurrency}"],
                at_least(0.6),
                peak=peak,
            )
            for concurrency in CONCURRENCIES
        ),
        Figure.of(
            f"{name}, {MIDDLE} at once: p99", "ms", p99[-options.runs :], P99_LIMIT_MS, at_most(1), peak=peak
        ),
        # One more than were asked for would be a share above 1: none lost is exactly 1.
        Figure.of(
            f"{name}: answered during a swap",
            "requests",
            [swapped.count],
            float(swapped.count + lost),
            at_least(1),
            peak=peak,
        ),
    ]


if __name__ == "__main__":
    main(__doc__ or "", SIZES, measure)
