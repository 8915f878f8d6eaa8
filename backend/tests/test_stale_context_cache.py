"""A worker's cache of contexts is bounded, and drops the oldest first."""

from pathlib import Path

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from dataflix_backend.app import create_app
from dataflix_backend.database import Database
from dataflix_backend.queries.ranking_context import RankingContext
from dataflix_backend.services.container import Services
from dataflix_backend.services.ranking import stale_context_cache as module
from dataflix_backend.services.ranking.stale_context_cache import StaleContextCache
from dataflix_recommender import Events, Model
from dataflix_testkit import PostgresServer, free_port

from .conftest import settings_for
from .support.api import ApiClient
from .support.contract import Contract
from .support.models import publish


def ground_of(events: int) -> RankingContext:
    return RankingContext(Events.from_rows((movie, 4.0, None) for movie in range(1, events + 1)), [], [])


@given(reads=st.lists(st.tuples(st.integers(1, 8), st.integers(0, 120)), max_size=60))
def test_the_cache_is_bounded_and_keeps_the_newest(reads: list[tuple[int, int]]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "MAX_EVENTS", 200)
        known = StaleContextCache(Database.__new__(Database))
        for user, events in reads:
            known.put(user, ground_of(events))
            found = known.find(user)
            assert found is not None
            assert len(found.context.events) == events
            kept = [entry for other in range(1, 9) if (entry := known.find(other))]
            assert sum(entry.cost for entry in kept) <= 200


def test_without_postgres_sessions_charts_and_similar_movies_come_from_the_model(
    pg: PostgresServer, model: Model, tmp_path: Path, contract: Contract
) -> None:
    publish(tmp_path / "models", "7", model)
    away = create_app(settings_for(tmp_path, pg, DATAFLIX_POSTGRES_PORT=str(free_port())))
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
