"""gunicorn with its workers, as `dataflix-backend serve` starts it."""

import contextlib
import itertools
import json
import logging
import socket
import subprocess
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from dataflix_recommender import Events, History, Model
from dataflix_testkit import PostgresServer, free_port
from dataflix_testkit.long_mode import short_or_long

from .support import data
from .support.data import Catalogue
from .support.models import publish, taste_model
from .support.server import COMMAND, Server, environment
from .test_model_store import damage

# Swaps on real workers under load. More of the same belong to the long form.
SWAPS = short_or_long(7, 1000)


class Load:
    """Clients that send requests without pause; collects the answers."""

    def __init__(self, server: Server, user: int, clients: int = 4) -> None:
        self.failures: list[str] = []
        self.answers: Counter[tuple[str, str, tuple[tuple[int, float], ...]]] = Counter()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(server, user)) for _ in range(clients)]

    def _ask(self, server: Server, user: int) -> None:
        session = server.session()
        while not self._stop.is_set():
            try:
                answer = session.get(f"{server.url}/recommendations/{user}", timeout=30)
                answer.raise_for_status()
            except requests.RequestException as error:
                self.failures.append(repr(error))
                continue
            body = answer.json()
            movies = tuple((row["movie_id"], round(row["score"], 4)) for row in body["data"])
            self.answers[(body["meta"]["model_version"], body["meta"]["trained_at"], movies)] += 1

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def wait_for_version(server: Server, version: str) -> None:
    """Wait until every worker serves the version: many new connections in a row reach both."""
    deadline = time.monotonic() + 60
    streak = 0
    while streak < 20:
        assert time.monotonic() < deadline, f"version {version} was not served in time"
        with server.session() as session:
            answer = session.get(f"{server.url}/model", timeout=30).json()
        streak = streak + 1 if answer["version"] == version else 0


@pytest.mark.timeout(short_or_long(900, 7200))
def test_models_are_swapped_without_a_failed_or_mixed_answer(
    server: Server, home: Path, catalogue: Catalogue, model: Model, pg: PostgresServer
) -> None:
    user = catalogue.users[0]
    known = data.connect(pg.dsn("dataflix_backend"))
    with known.cursor() as cursor:
        cursor.execute("SELECT movie_id, rating, liked FROM ratings WHERE user_id = %s", (user,))
        rows = cursor.fetchall()
        cursor.execute("SELECT max(rated_at) FROM ratings WHERE user_id = %s", (user,))
        ((last_at,),) = cursor.fetchall()
    known.close()
    events = replace(Events.from_rows(rows), last_at=round(last_at.timestamp() * 1e6))
    versions = {"1": model} | {
        str(seed): taste_model(catalogue.genres, catalogue.titles, seed=seed) for seed in range(2, 9)
    }
    with Load(server, user) as load:
        for version in itertools.islice(itertools.cycle(versions), 1, 1 + SWAPS):
            publish(home / "models", version, versions[version])
            wait_for_version(server, version)
    assert load.failures == []
    # Every answer equals what the model of its version makes on its own, movie by movie and score by score.
    own = {
        version: tuple(
            (item.item_id, round(item.score, 4))
            for item in swapped.recommend(History.from_events(events, swapped.weights), 10)
        )
        for version, swapped in versions.items()
    }
    assert len(set(own.values())) == len(own)
    assert {(version, movies) for version, _, movies in load.answers} == set(own.items())
    answers = sum(load.answers.values())
    logging.getLogger("reliability").warning("model swaps: %d, %d answers", SWAPS, answers)


def test_damaged_model_never_replaces_the_good_one(server: Server, home: Path, model: Model) -> None:
    publish(home / "models", "10", model)
    wait_for_version(server, "10")
    model.save(home / "models" / "11-test")
    damage(home / "models" / "11-test")
    publish(home / "models", "11", model)
    refusals: set[int] = set()
    while len(refusals) < 2:
        time.sleep(0.05)
        refusals = {entry["pid"] for entry in log_entries(server) if entry["event"] == "model refused"}
    wait_for_version(server, "10")
    refused_by = [entry["pid"] for entry in log_entries(server) if entry["event"] == "model refused"]
    assert len(refused_by) == len(set(refused_by))


def log_entries(server: Server) -> list[dict[str, Any]]:
    """Return the log; fails when a line of it is not JSON."""
    return [json.loads(line) for line in server.log.read_text().splitlines()]


def test_log_names_routes_and_never_persons(server: Server) -> None:
    secrets = {"username": "Canary.Bird", "email": "canary@example.org", "first_name": "Canarina"}
    with server.session() as session:
        created = session.post(f"{server.url}/users", json=secrets, timeout=30)
        again = session.post(f"{server.url}/users", json=secrets, timeout=30)
        session.get(f"{server.url}/users?q=Canary", timeout=30)
        session.get(f"{server.url}/users/{created.json()['user_id']}?x=Canarina", timeout=30)
    assert (created.status_code, again.status_code) == (201, 409)
    entries = log_entries(server)
    requests_seen = [entry for entry in entries if entry["event"] == "request"]
    assert {"/users", "/users/<user_id>"} <= {entry["route"] for entry in requests_seen}
    ours = [entry for entry in requests_seen if entry["request_id"] == created.headers["X-Request-ID"]]
    assert [entry["status"] for entry in ours] == [201]
    assert "canar" not in server.log.read_text().lower()


def test_metrics_count_all_workers_by_route(server: Server, catalogue: Catalogue) -> None:
    def count() -> float:
        labels = 'method="GET",route="/movies/<movie_id>",status="200"'
        name = f"dataflix_http_request_duration_seconds_count{{{labels}}}"
        text = requests.get(f"{server.url}/metrics", timeout=30).text
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))

    before = count()
    for movie_id in list(catalogue.titles)[:30]:
        with server.session() as session:
            session.get(f"{server.url}/movies/{movie_id}", timeout=30)
    assert count() == before + 30


def test_model_tells_its_origin_and_age(server: Server) -> None:
    with server.session() as session:
        described = session.get(f"{server.url}/model", timeout=30).json()
    assert described["trained_at"] == "2026-05-17T12:00:00Z"
    assert described["metrics"] == {"ndcg@10": 0.31}
    assert described["age_seconds"] > 0
    assert described["registry_reached_at"] is None


def test_body_of_unknown_length_is_bounded_too(server: Server, catalogue: Catalogue) -> None:
    rating = {"user_id": catalogue.users[1], "movie_id": next(iter(catalogue.titles)), "rating": 4}
    pieces = [json.dumps(rating).encode(), *[b" " * 1000] * 100]
    with server.session() as session:
        headers = {"Content-Type": "application/json"}
        refused = session.post(f"{server.url}/ratings", data=iter(pieces), headers=headers, timeout=30)
        taken = session.post(f"{server.url}/ratings", data=iter(pieces[:10]), headers=headers, timeout=30)
    assert refused.status_code == 413, refused.text
    assert taken.ok


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /users?q=" + b"Canary" * 2000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /users?q=Canary\r\n\r\n",
        b"Canary\r\n\r\n",
        b"GET /users?q=Canary HTTP/1.1\r\nCanary: " + b"x" * 5000 + b"\r\n\r\n",
        b"GET /users?q=Canary HTTP/1.1\r\n" + b"a: b\r\n" * 60 + b"\r\n",
        b"POST /users HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Canary\r\n\r\n",
        b"POST /users HTTP/1.1\r\nContent-Length: Canary\r\n\r\n",
        b"POST /users HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        b"GET / HTTP/9.9\r\nCanary: 1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00Canary\r\n\r\n",
    ],
)
def test_bytes_that_are_no_request_get_a_problem_and_stay_out_of_the_log(server: Server, sent: bytes) -> None:
    address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
    with socket.create_connection(address, timeout=30) as client:
        client.sendall(sent)
        got = b""
        while piece := client.recv(65536):
            got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 ")), got[:300]
    assert b"application/problem+json" in head
    problem = json.loads(body)
    assert (problem["status"], "anary" in body.decode()) == (400, False)
    assert "anary" not in server.log.read_text()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\n",
        b"POST /feedback HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFF\r\nabc",
    ],
    ids=["silence", "half head", "huge chunk"],
)
def test_connections_that_do_not_finish_their_request_do_not_stop_the_api(
    server: Server, sent: bytes
) -> None:
    address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.create_connection(address, timeout=30)) for _ in range(100)]
        for client in held:
            client.sendall(sent)
        for _ in range(10):
            assert requests.get(f"{server.url}/healthz", timeout=3).ok
        got = b""
        while piece := held[-1].recv(65536):
            got += piece
    if sent:
        assert json.loads(got.partition(b"\r\n\r\n")[2])["type"] == "urn:dataflix:problem:too-slow"


def run_serve(environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, "serve"], env=environ, capture_output=True, text=True, check=False)


def test_taken_port_is_named_with_the_variable_that_moves_it(
    server: Server, pg: PostgresServer, tmp_path: Path
) -> None:
    port = server.url.rpartition(":")[2]
    ended = run_serve(environment(tmp_path, pg.environ, DATAFLIX_BACKEND_PORT=port))
    assert ended.returncode == 1
    assert port in ended.stderr
    assert "DATAFLIX_BACKEND_PORT" in ended.stderr


def test_wrong_settings_are_all_named(tmp_path: Path) -> None:
    ended = run_serve(
        {"DATAFLIX_BACKEND_PORT": "99999", "DATAFLIX_API_KEY": "short", "DATAFLIX_HOME": str(tmp_path)}
    )
    assert ended.returncode == 1
    for name in ("DATAFLIX_BACKEND_PORT", "DATAFLIX_API_KEY", "DATAFLIX_POSTGRES_BACKEND_PASSWORD"):
        assert name in ended.stderr
    assert "'99999'" in ended.stderr
    assert "short" not in ended.stderr


def test_unwritable_home_is_named(pg: PostgresServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = run_serve(environment(tmp_path / "file", pg.environ, DATAFLIX_BACKEND_PORT=str(free_port())))
    assert ended.returncode == 1
    assert "DATAFLIX_HOME" in ended.stderr
