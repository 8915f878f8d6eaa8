"""Postgres and workers killed while load runs, on real processes: what is answered, and what is left."""

import itertools
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from dataflix_backend.api_key import secret_hash
from dataflix_backend.database import RECONNECT_AFTER_S
from dataflix_backend.queries.ranking_context import load_ranking_context
from dataflix_backend.services.list_ids import ListIds
from dataflix_backend.services.ranking.erased_users import ErasedUsers
from dataflix_backend.services.ranking.stale_context_cache import StaleContextCache
from dataflix_testkit.long_mode import short_or_long

from .support import data, models
from .support.api import API_KEY
from .support.data import Catalogue
from .support.keys import database, make_key
from .support.killable import KillablePostgres, children, kill_children
from .support.load import Load, LoadAnswer
from .support.server import Server, serving

KILLS_OF_POSTGRES = short_or_long(1, 50)
KILLS_OF_WORKERS = short_or_long(2, 50)

pytestmark = pytest.mark.timeout(short_or_long(900, 3600))


@pytest.fixture(scope="module")
def catalogue(cluster_catalogue: Catalogue) -> Catalogue:
    return cluster_catalogue


@pytest.fixture(scope="module")
def server(
    cluster: KillablePostgres, catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("served")
    models.publish(home / "models", "1", models.taste_model(catalogue.genres, catalogue.titles))
    with serving(home, cluster.server.environ) as running:
        yield running


class Writer:
    """Writes a new rating each time, and dismisses movies; a dismissal is two rows."""

    def __init__(self, lists: dict[int, str], movies: list[int]) -> None:
        self._lock = threading.Lock()
        self._lists = lists
        self._positions = {movie: position for position, movie in enumerate(movies, 1)}
        self._pairs = itertools.product(lists, movies)
        self._dismissals = itertools.product(lists, movies)

    def rate(self, session: requests.Session, url: str) -> tuple[requests.Response, Any]:
        with self._lock:
            user, movie = next(self._pairs)
        body = {"user_id": user, "movie_id": movie, "rating": 3.5}
        return session.post(f"{url}/ratings", json=body, timeout=30), (user, movie)

    def dismiss(self, session: requests.Session, url: str) -> tuple[requests.Response, Any]:
        with self._lock:
            user, movie = next(self._dismissals)
        body = {
            "recommendation_id": self._lists[user],
            "movie_id": movie,
            "event": "dismissed",
            "position": self._positions[movie],
            "user_id": user,
        }
        return session.post(f"{url}/feedback", json=body, timeout=30), (user, movie)


def asking(path: str) -> Any:
    return lambda session, url: (session.get(f"{url}{path}", timeout=30), None)


def telling(session: requests.Session, url: str) -> tuple[requests.Response, Any]:
    return session.post(f"{url}/recommendations", json={"n": 5}, timeout=30), None


def stored(cluster: KillablePostgres, query: str) -> set[tuple[Any, ...]]:
    connection = data.connect(cluster.server.dsn("postgres"))
    with connection.cursor() as cursor:
        cursor.execute(query)
        rows = set(cursor.fetchall())
    connection.close()
    return rows


def new_users(server: Server, count: int, prefix: str) -> list[int]:
    with server.session() as session:
        bodies = ({"username": f"{prefix}{n}", "email": f"{prefix}{n}@example.org"} for n in range(count))
        answers = [session.post(f"{server.url}/users", json=body, timeout=30) for body in bodies]
    assert {answer.status_code for answer in answers} == {201}, [answer.text for answer in answers]
    return [answer.json()["user_id"] for answer in answers]


def test_postgres_killed_under_load(server: Server, cluster: KillablePostgres, catalogue: Catalogue) -> None:
    reader = catalogue.users[0]
    url = f"/recommendations/{reader}"
    lists = ListIds(API_KEY)
    movies = list(catalogue.titles)
    writers = {user: lists.new("1", user, movies) for user in new_users(server, 300, "w")}
    writer = Writer(writers, movies)
    calls = {
        "user": asking(url),
        "user again": asking(url),
        "session": telling,
        "chart": asking("/trending"),
        "rate": writer.rate,
        "dismiss": writer.dismiss,
    }
    with Load(server, calls) as load:
        load.wait_for("user", lambda answer: not answer.body["meta"]["stale"], 50)
        for _ in range(KILLS_OF_POSTGRES):
            cluster.kill()
            load.wait_for("user", is_stale, 10)
            load.wait_for("rate", lambda answer: answer.status == 503, 5)
            load.wait_for("dismiss", lambda answer: answer.status == 503, 1)
            cluster.start()
            # No restart is needed: the next request uses the new connection.
            load.wait_for("user", lambda answer: not answer.body["meta"]["stale"], 10)
            load.wait_for("rate", lambda answer: answer.status == 201, 5)
            load.wait_for("dismiss", lambda answer: answer.status == 201, 5)
    statuses = load.statuses()
    for name in ("user", "user again", "session", "chart"):
        assert statuses[name] == {200}, name
    shown = {tuple(row["movie_id"] for row in answer.body["data"]) for answer in load.answers["user"]}
    assert len(shown) == 1, "a stale list differs from a present one although nothing was changed"
    for name in ("rate", "dismiss"):
        assert statuses[name] == {201, 503}, name
        refused = [answer for answer in load.answers[name] if answer.status == 503]
        assert all(int(answer.retry_after or 0) > 0 for answer in refused)
    ratings = stored(cluster, "SELECT user_id, movie_id FROM ratings WHERE rating = 3.5")
    feedback = stored(cluster, "SELECT user_id, movie_id FROM feedback WHERE event = 'dismissed'")
    blocks = stored(cluster, "SELECT user_id, movie_id FROM user_blocks")
    assert confirmed(load.answers["rate"]) <= ratings, "a confirmed rating is lost"
    assert confirmed(load.answers["dismiss"]) <= feedback, "confirmed feedback is lost"
    assert feedback == blocks, "feedback without its block, or a block without its feedback"
    record("kills of Postgres", KILLS_OF_POSTGRES, load)


def record(what: str, times: int, load: Load) -> None:
    """Log how often something was tried, for the table in docs/reliability.md."""
    answers = sum(map(len, load.answers.values()))
    logging.getLogger("reliability").warning("%s: %d tried, %d answers", what, times, answers)


def is_stale(answer: LoadAnswer) -> bool:
    return bool(answer.body["meta"]["stale"]) and answer.body["meta"]["as_of"] is not None


def confirmed(answers: list[LoadAnswer]) -> set[tuple[int, int]]:
    return {answer.sent for answer in answers if answer.status in (200, 201)}


def test_workers_killed_under_load(server: Server, catalogue: Catalogue) -> None:
    calls = {f"client {n}": asking(f"/recommendations/{catalogue.users[n]}") for n in range(4)}
    with Load(server, calls) as load:
        load.wait_for("client 0", lambda answer: answer.status == 200, 10)
        for _ in range(KILLS_OF_WORKERS):
            before = set(children(server.pid))
            assert kill_children(server.pid)
            while not (born := set(children(server.pid)) - before):
                time.sleep(0.02)
            load.wait_for("client 0", lambda answer: answer.status == 200, 5)
            assert born
    # A request inside a killed worker gets no answer; all answers are right.
    assert all(seen <= {0, 200} for seen in load.statuses().values())
    for answers in load.answers.values():
        # On a busy machine a new worker may wait too long for its first connection; its list is then stale.
        lists = {
            tuple(row["movie_id"] for row in answer.body["data"])
            for answer in answers
            if answer.status and not answer.body["meta"]["stale"]
        }
        assert len(lists) == 1
        broken = [answer for answer in answers if answer.status == 0]
        assert len(broken) <= 3 * KILLS_OF_WORKERS
    record("kills of workers", KILLS_OF_WORKERS, load)


def test_everything_down_and_workers_killed_serves_the_last_good_model(
    server: Server, cluster: KillablePostgres, catalogue: Catalogue
) -> None:
    known = make_key(cluster.server, ["read"])
    kept = server.log.parent / "backend" / "known-keys.json"
    with server.session() as session:
        with requests.Session() as client:
            client.headers["X-API-Key"] = known
            assert client.get(f"{server.url}/genres", timeout=30).ok
        deadline = time.monotonic() + 60
        while not kept.exists() or secret_hash(known).hex() not in kept.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        present = session.get(f"{server.url}/model", timeout=30).json()
    cluster.kill()
    try:
        before = set(children(server.pid))
        kill_children(server.pid)
        while len(set(children(server.pid)) - before) < len(before):
            time.sleep(0.05)
        with server.session() as session:
            for _ in range(20):
                answer = session.get(f"{server.url}/recommendations/{catalogue.users[0]}", timeout=30)
                assert answer.status_code == 200
                meta = answer.json()["meta"]
                # A new worker knows the model and no history.
                assert (meta["stale"], meta["as_of"], meta["model_version"]) == (True, None, "1")
            described = session.get(f"{server.url}/model", timeout=30).json()
            assert described["version"] == present["version"]
            assert described["age_seconds"] > present["age_seconds"]
            assert session.get(f"{server.url}/readyz", timeout=30).status_code == 503
            assert session.get(f"{server.url}/healthz", timeout=30).status_code == 200
            session.headers["X-API-Key"] = known
            assert session.get(f"{server.url}/trending", timeout=30).status_code == 200
    finally:
        cluster.start()
        # Another worker may have failed to connect a moment ago, and waits before it tries again.
        time.sleep(RECONNECT_AFTER_S)
    for _ in range(20):
        assert requests.get(f"{server.url}/readyz", timeout=30).status_code == 200


def test_contexts_of_deleted_users_are_dropped(
    server: Server, cluster: KillablePostgres, tmp_path: Path
) -> None:
    (gone, stays) = new_users(server, 2, "forgotten")
    connection = database(cluster.server)
    known = StaleContextCache(connection, ErasedUsers(tmp_path / "erased"))
    for user in (gone, stays):
        known.put(user, load_ranking_context(connection, user), time.monotonic())
    with server.session() as session:
        assert session.delete(f"{server.url}/users/{gone}", timeout=30).status_code == 202
    known.forget_deleted_users()
    assert known.find(gone) is None
    assert known.find(stays) is not None
    connection.close()


def test_no_worker_knows_an_erased_user_while_postgres_is_down(
    server: Server, cluster: KillablePostgres, catalogue: Catalogue
) -> None:
    (gone,) = new_users(server, 1, "erased")
    movie = next(iter(catalogue.titles))
    url = f"{server.url}/recommendations/{gone}"
    with server.session() as session:
        session.post(
            f"{server.url}/ratings", json={"user_id": gone, "movie_id": movie, "rating": 5}, timeout=30
        )
    for _ in range(30):
        # New connections, so that both workers read the history.
        with server.session() as session:
            assert session.get(url, timeout=30).ok
    with server.session() as session:
        assert session.delete(f"{server.url}/users/{gone}", timeout=30).status_code == 202
    cluster.kill()
    try:
        for _ in range(30):
            with server.session() as session:
                meta = session.get(url, timeout=30).json()["meta"]
            # No time of a history: no worker has one.
            assert (meta["stale"], meta["as_of"]) == (True, None)
    finally:
        cluster.start()
        time.sleep(RECONNECT_AFTER_S)
