"""Writes at once, on gunicorn's two workers: no update lost, no row without its owner, no 500."""

import itertools
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from dataflix_backend.database import Database
from dataflix_backend.queries.api_keys import create_key, list_keys, rotate_key
from dataflix_testkit import PostgresServer
from dataflix_testkit.long_mode import short_or_long

from .support import data
from .support.api import ApiClient
from .support.data import Catalogue
from .support.keys import database
from .support.models import publish, taste_model
from .support.server import Server

ROUNDS = short_or_long(10, 500)
CLIENTS = 6

pytestmark = pytest.mark.timeout(short_or_long(900, 3600))


def at_once(server: Server, *calls: Callable[[requests.Session], requests.Response]) -> list[int]:
    """Send the calls at the same moment, each on its own connection; returns their statuses."""
    barrier = threading.Barrier(len(calls))

    def one(call: Callable[[requests.Session], requests.Response]) -> int:
        with server.session() as session:
            # Connect before the start signal, so that all requests start together.
            session.get(f"{server.url}/healthz", timeout=30)
            barrier.wait()
            return call(session).status_code

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


def rating(server: Server, user: int, movie: int, stars: float) -> Callable[[requests.Session], Any]:
    body = {"user_id": user, "movie_id": movie, "rating": stars}
    return lambda session: session.post(f"{server.url}/ratings", json=body, timeout=30)


def rows(pg: PostgresServer, query: str, *parameters: Any) -> list[Any]:
    connection = data.connect(pg.dsn("postgres"))
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        found: list[Any] = cursor.fetchall()
    connection.close()
    return found


def test_two_ratings_of_one_movie_at_once_leave_one_that_was_sent(
    server: Server, api: ApiClient, pg: PostgresServer, catalogue: Catalogue
) -> None:
    movies = itertools.cycle(catalogue.titles)
    for _ in range(ROUNDS):
        user, movie = api.new_user(), next(movies)
        sent = [(number + 1) / 2 for number in range(CLIENTS)]
        statuses = at_once(server, *(rating(server, user, movie, stars) for stars in sent))
        assert sorted(statuses) == [200] * (CLIENTS - 1) + [201]
        stored = rows(pg, "SELECT rating FROM ratings WHERE user_id = %s", user)
        assert len(stored) == 1
        assert stored[0][0] in sent


def test_ratings_of_many_movies_at_once_are_all_there(
    server: Server, api: ApiClient, pg: PostgresServer, catalogue: Catalogue
) -> None:
    user = api.new_user()
    movies = list(catalogue.titles)[: 5 * CLIENTS]
    for batch in range(0, len(movies), CLIENTS):
        calls = [rating(server, user, movie, 4) for movie in movies[batch : batch + CLIENTS]]
        assert at_once(server, *calls) == [201] * len(calls)
    assert rows(pg, "SELECT count(*) FROM ratings WHERE user_id = %s", user) == [(len(movies),)]
    shown = api.get(f"/recommendations/{user}?n=100").json["data"]
    assert not {row["movie_id"] for row in shown} & set(movies)


def test_ratings_during_a_user_s_erasure_leave_no_orphans(
    server: Server, api: ApiClient, pg: PostgresServer, catalogue: Catalogue
) -> None:
    movies = list(catalogue.titles)[: CLIENTS - 1]
    for _ in range(ROUNDS):
        user = api.new_user()
        calls = [rating(server, user, movie, 5) for movie in movies]

        def erase(session: requests.Session, gone: int = user) -> requests.Response:
            return session.delete(f"{server.url}/users/{gone}", timeout=30)

        *written, erased = at_once(server, *calls, erase)
        assert erased == 202
        assert set(written) <= {201, 404}
        for table in ("ratings", "watched_movies", "user_blocks", "feedback", "users"):
            assert rows(pg, f"SELECT count(*) FROM {table} WHERE user_id = %s", user) == [(0,)]
        api.get(f"/recommendations/{user}").problem(404)


def test_of_equal_movies_added_at_once_one_is_stored(
    server: Server, pg: PostgresServer, catalogue: Catalogue, added: None
) -> None:
    for number in range(ROUNDS):
        # Equal as the check reads it: in another spelling, too, and without a year.
        titles = (f"Twin {number}", f"TWIN {number}")
        year = {"release_year": 1999} if number % 2 else {}
        bodies = [{"title": titles[n % 2], **year} for n in range(CLIENTS)]
        calls = [
            lambda session, body=body: session.post(f"{server.url}/movies", json=body, timeout=30)
            for body in bodies
        ]
        assert sorted(at_once(server, *calls)) == [201] + [409] * (CLIENTS - 1)
        stored = rows(pg, "SELECT count(*) FROM movies WHERE lower(title) = lower(%s)", titles[0])
        assert stored == [(1,)]


def test_of_secrets_rotated_in_at_once_one_stays(pg: PostgresServer, server: Server) -> None:
    for number in range(ROUNDS):
        name = f"rotated-{number}"
        create_key(database(pg), name, ["read"], None, secrets.token_bytes(32))
        databases = [database(pg) for _ in range(CLIENTS)]
        barrier = threading.Barrier(CLIENTS)

        def rotate(one: Database, name: str = name, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            rotate_key(one, name, timedelta(), secrets.token_bytes(32))

        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(rotate, databases))
        for one in databases:
            one.close()
        (key,) = (key for key in list_keys(database(pg)) if key["name"] == name)
        assert key["good_secrets"] == 1


def test_writes_while_models_are_swapped(
    server: Server, api: ApiClient, pg: PostgresServer, home: Path, catalogue: Catalogue
) -> None:
    user, stop = api.new_user(), threading.Event()

    def swap() -> int:
        count = 0
        while not stop.is_set():
            count += 1
            swapped = taste_model(catalogue.genres, catalogue.titles, seed=count % 5)
            publish(home / "models", str(2 + count % 5), swapped)
            time.sleep(0.1)
        return count

    with ThreadPoolExecutor(1) as pool:
        swapping = pool.submit(swap)
        try:
            for number in range(ROUNDS):
                movie = list(catalogue.titles)[number % len(catalogue.titles)]
                statuses = at_once(
                    server,
                    rating(server, user, movie, 5),
                    lambda session: session.get(f"{server.url}/recommendations/{user}", timeout=30),
                    lambda session: session.get(f"{server.url}/trending", timeout=30),
                )
                assert set(statuses) <= {200, 201}
                # The rating counts in the next answer, whichever model makes it.
                shown = api.get(f"/recommendations/{user}?n=100").json["data"]
                assert movie not in {row["movie_id"] for row in shown}
        finally:
            stop.set()
        assert swapping.result() > 0
    expected = min(ROUNDS, len(catalogue.titles))
    assert rows(pg, "SELECT count(*) FROM ratings WHERE user_id = %s", user) == [(expected,)]
