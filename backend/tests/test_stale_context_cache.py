"""A worker's cache of contexts is bounded, and drops the oldest first."""

import os
import time
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from dataflix_backend.database import Database
from dataflix_backend.queries.ranking_context import RankingContext
from dataflix_backend.services.container import Services
from dataflix_backend.services.ranking import stale_context_cache as module
from dataflix_backend.services.ranking.erased_users import KEPT_S, ErasedUsers
from dataflix_backend.services.ranking.stale_context_cache import StaleContextCache
from dataflix_recommender import Events, Model
from dataflix_testkit import PostgresServer, free_port

from .conftest import StartApp, settings_for
from .support.api import ApiClient
from .support.contract import Contract
from .support.models import publish


def ground_of(events: int) -> RankingContext:
    return RankingContext(Events.from_rows((movie, 4.0, None) for movie in range(1, events + 1)), [], [])


@given(reads=st.lists(st.tuples(st.integers(1, 8), st.integers(0, 120)), max_size=60))
def test_the_cache_is_bounded_and_keeps_the_newest(reads: list[tuple[int, int]]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "MAX_EVENTS", 200)
        known = StaleContextCache(Database.__new__(Database), ErasedUsers(Path("/nonexistent/erased")))
        for user, events in reads:
            known.put(user, ground_of(events), 0.0)
            found = known.find(user)
            assert found is not None
            assert len(found.context.events) == events
            kept = [entry for other in range(1, 9) if (entry := known.find(other))]
            assert sum(entry.cost for entry in kept) <= 200


def test_without_postgres_sessions_charts_and_similar_movies_come_from_the_model(
    pg: PostgresServer, model: Model, tmp_path: Path, contract: Contract, start_app: StartApp
) -> None:
    publish(tmp_path / "models", "7", model)
    away = start_app(settings_for(tmp_path, pg, DATAFLIX_POSTGRES_PORT=str(free_port())))
    api = ApiClient(away.test_client(), contract)
    movie = model.popular(1)[0][0]
    lists = [
        api.post("/recommendations", {"ratings": [{"movie_id": movie, "rating": 5}]}),
        api.get("/recommendations/1"),
        api.get("/trending"),
        api.get("/popular"),
        api.get(f"/movies/{movie}/similar"),
    ]
    for answer in lists:
        assert answer.status == 200
        assert len(answer.json["data"]) > 0
        assert (answer.json["meta"]["stale"], answer.json["meta"]["as_of"]) == (True, None)
    assert movie not in {row["movie_id"] for row in lists[0].json["data"]}
    for unknown in (api.get("/movies/999999/similar"), api.get("/movies"), api.get("/users/1")):
        assert int(unknown.headers["Retry-After"]) > 0
        unknown.problem(503)


def test_the_worker_that_erases_a_user_forgets_the_context_at_once(api: ApiClient, app: Flask) -> None:
    user = api.new_user()
    assert api.get(f"/recommendations/{user}").status == 200
    services: Services = app.extensions["dataflix"]
    assert services.stale_contexts.find(user)
    assert api.delete(f"/users/{user}").status == 202
    assert services.stale_contexts.find(user) is None


def two_workers(folder: Path) -> tuple[StaleContextCache, StaleContextCache]:
    database = Database.__new__(Database)
    first, second = (StaleContextCache(database, ErasedUsers(folder / "erased")) for _ in range(2))
    for worker in (first, second):
        for user in (1, 2):
            worker.put(user, ground_of(3), time.monotonic())
    return first, second


def test_every_worker_forgets_an_erased_user_at_once_and_no_other(tmp_path: Path) -> None:
    first, second = two_workers(tmp_path)
    assert second.find(1)
    first.erase(1)
    # No statement reaches Postgres here, as while it is away.
    assert first.find(1) is None
    assert second.find(1) is None
    assert second.find(2)


def test_a_read_that_began_before_the_erasure_brings_nobody_back(tmp_path: Path) -> None:
    first, second = two_workers(tmp_path)
    began_at_s = time.monotonic()
    first.erase(1)
    second.put(1, ground_of(3), began_at_s)
    assert second.find(1) is None
    # Somebody who signs up later may get the same id.
    second.put(1, ground_of(3), time.monotonic())
    assert second.find(1)


def test_ids_of_the_erased_are_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "erased"
    erased, reader = ErasedUsers(file), ErasedUsers(file)
    erased.add(1)
    erased.add(2)
    assert reader.erased_at(2) is not None
    erased.forget_old()
    assert file.stat().st_size > 0
    assert file.stat().st_mode & 0o777 == 0o600
    old = time.time() - KEPT_S - 1
    os.utime(file, (old, old))
    erased.forget_old()
    assert file.stat().st_size == 0
    erased.add(3)
    assert (reader.erased_at(3) is not None, reader.erased_at(1)) == (True, None)


def test_without_space_an_erasure_is_done_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "erased"
    file.symlink_to("/dev/full")
    ErasedUsers(file).add(1)
    assert [record.getMessage() for record in caplog.records] == ["erasure not shared with other workers"]
