"""The wall clock jumps while the real server runs: nothing that counts seconds may change."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from dataflix_backend.api_key import new_secret, secret_hash
from dataflix_backend.queries.api_keys import rotate_key
from dataflix_backend.services.access.rate_limiter import SlidingWindow
from dataflix_backend.services.access.shared_counters import SharedCounters
from dataflix_backend.services.model.store import LoadedModel
from dataflix_testkit.clock import Clock, movable_clock

from .support import models
from .support.api import API_KEY
from .support.data import Catalogue
from .support.keys import database, make_key
from .support.killable import KillablePostgres, children, kill_children
from .support.server import Server, serving

HOUR, DAY, DECADE = timedelta(hours=1), timedelta(days=1), timedelta(days=3653)
JUMPS = (HOUR, -HOUR, DAY, -DAY, DECADE, -DECADE)
LIMIT = 60
# Long enough to use the old secret before Postgres is killed, also on a busy machine.
OVERLAP_S = 6


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    return movable_clock(tmp_path_factory.mktemp("clock"))


@pytest.fixture(scope="module")
def users(cluster_catalogue: Catalogue) -> list[int]:
    return cluster_catalogue.users


@pytest.fixture(scope="module")
def server(
    cluster: KillablePostgres,
    clock: Clock,
    cluster_catalogue: Catalogue,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("served")
    model = models.taste_model(cluster_catalogue.genres, cluster_catalogue.titles)
    models.publish(home / "models", "1", model)
    extra = {**clock.environ, "DATAFLIX_BACKEND_RATE_LIMIT": str(LIMIT), "DATAFLIX_BACKEND_WORKERS": "1"}
    with serving(home, cluster.server.environ, **extra) as running:
        yield running


@pytest.fixture(autouse=True)
def put_right(clock: Clock) -> Iterator[None]:
    yield
    clock.jump(timedelta(0))


def get(server: Server, path: str, key: str = API_KEY) -> requests.Response:
    return requests.get(server.url + path, headers={"X-API-Key": key}, timeout=30)


def get_json(server: Server, path: str, key: str = API_KEY) -> Any:
    answer = get(server, path, key)
    assert answer.status_code == 200, answer.text
    return answer.json()


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def test_the_server_s_clock_is_moved(server: Server, clock: Clock) -> None:
    """Without this, the tests below would prove nothing."""
    clock.jump(DECADE)
    age_s = get_json(server, "/model")["age_seconds"]
    assert age_s > DECADE.total_seconds()


@pytest.mark.parametrize("jump", JUMPS, ids=str)
def test_lists_keys_and_writes_go_on_and_no_age_is_below_zero(
    server: Server, clock: Clock, users: list[int], jump: timedelta
) -> None:
    before = [row["movie_id"] for row in get_json(server, f"/recommendations/{users[0]}")["data"]]
    age_s = get_json(server, "/model")["age_seconds"]
    clock.jump(jump)
    shown = get_json(server, f"/recommendations/{users[0]}")
    assert [row["movie_id"] for row in shown["data"]] == before
    assert get_json(server, "/model")["age_seconds"] >= age_s >= 0
    # A list's id holds the time at which it was made, which may be ahead of Postgres' clock.
    body = {
        **{"recommendation_id": shown["meta"]["recommendation_id"], "movie_id": before[0], "event": "shown"},
        **{"position": 1, "user_id": users[0]},
    }
    headers = {"X-API-Key": API_KEY}
    given = requests.post(server.url + "/feedback", json=body, headers=headers, timeout=30)
    assert given.status_code in (200, 201), given.text
    rating = {"user_id": users[1], "movie_id": before[0], "rating": 4}
    rated = requests.post(server.url + "/ratings", json=rating, headers=headers, timeout=30)
    assert rated.status_code in (200, 201), rated.text
    # Postgres sets the time of a rating.
    assert abs(moment(rated.json()["rated_at"]) - datetime.now(UTC)) < HOUR


def test_no_jump_gives_a_key_another_minute(server: Server, clock: Clock, cluster: KillablePostgres) -> None:
    key = make_key(cluster.server, ["read"])
    began = time.monotonic()
    answers = [get(server, "/genres", key) for _ in range(LIMIT + 1)]
    for jump in JUMPS:
        clock.jump(jump)
        answers += [get(server, "/genres", key) for _ in range(LIMIT)]
    # One minute's limit, and what became free again while the requests ran.
    allowed = LIMIT + LIMIT * (time.monotonic() - began) / 60 + 1
    assert [answer.status_code for answer in answers].count(200) <= allowed
    assert all(
        1 <= int(answer.headers["Retry-After"]) <= 60 for answer in answers if answer.status_code == 429
    )


def test_without_postgres_ages_and_ends_use_the_monotonic_clock(
    server: Server, clock: Clock, cluster: KillablePostgres, users: list[int]
) -> None:
    key = make_key(cluster.server, ["read"], name="rotated")
    lasting = make_key(cluster.server, ["read"], name="lasting")
    get_json(server, "/genres", lasting)
    rotate_key(database(cluster.server), "rotated", timedelta(seconds=OVERLAP_S), secret_hash(new_secret()))
    get_json(server, "/genres", key)
    ends = time.monotonic() + OVERLAP_S
    get_json(server, f"/recommendations/{users[0]}")
    cluster.kill()
    try:
        for jump in (*JUMPS, -HOUR):
            clock.jump(jump)
            meta = get_json(server, f"/recommendations/{users[0]}")["meta"]
            assert meta["stale"]
            age = clock.now() - moment(meta["as_of"])
            assert timedelta(seconds=-1) < age < timedelta(minutes=5), jump
            assert get(server, "/trending", lasting).status_code == 200
        while time.monotonic() < ends + 3:
            time.sleep(0.1)
        # By the wall clock, which is an hour back, the key would be valid again.
        assert get(server, "/trending", key).status_code == 401
        # A new worker reads from disk how long ago the key was valid.
        before = set(children(server.pid))
        assert kill_children(server.pid)
        while not set(children(server.pid)) - before:
            time.sleep(0.05)
        deadline = time.monotonic() + 60
        while (status := answered(server, "/trending", key)) is None and time.monotonic() < deadline:
            time.sleep(0.1)
        assert status in (401, 503)
    finally:
        cluster.start()


def answered(server: Server, path: str, key: str) -> int | None:
    try:
        return get(server, path, key).status_code
    except requests.RequestException:
        return None


def test_a_refused_client_may_come_back_after_the_stated_wait() -> None:
    now = 0.0
    counts = SlidingWindow(5, 60, SharedCounters.private(), clock=lambda: now)
    taken, again_at = 0, 0.0
    for step in range(4000):
        now = step * 0.5
        wait_s = counts.hit("somebody")
        if wait_s:
            assert 0 < wait_s <= 60
            again_at = now + wait_s
        else:
            assert now + 1e-6 >= again_at
            taken += 1
    # 2,000 seconds at five a minute, except for the first and the last window.
    assert 5 * 2000 / 60 - 10 <= taken <= 5 * 2000 / 60 + 10


def test_a_model_from_the_future_is_no_younger_than_new() -> None:
    ahead = datetime.now(UTC) + DAY
    model = models.taste_model({1: ["Drama"], 2: ["Horror"]}, {1: "a", 2: "b"}, trained_at=ahead)
    served = LoadedModel(model, "1", "model", datetime.now(UTC))
    assert served.age_s() >= 0
