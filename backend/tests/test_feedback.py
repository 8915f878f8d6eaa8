"""Feedback counts once, for the model that made the list, and a dismissal blocks the movie."""

import base64
from pathlib import Path
from typing import Any

import pytest

from dataflix_backend.app import create_app
from dataflix_backend.exceptions import InvalidInputError
from dataflix_backend.services.list_ids import ListIds
from dataflix_recommender import Model
from dataflix_testkit import PostgresServer

from .conftest import settings_for
from .support import data
from .support.api import API_KEY, ApiClient
from .support.contract import Contract
from .support.data import Catalogue
from .support.models import publish

NOBODY = 999_999_999


def stored(pg: PostgresServer, recommendation_id: str) -> list[tuple[Any, ...]]:
    with data.connect(pg.dsn("postgres")) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT movie_id, event, user_id, position, model_version FROM feedback"
            " WHERE recommendation_id = %s ORDER BY position, event",
            (recommendation_id,),
        )
        return list(cursor.fetchall())


def test_feedback_is_stored_under_the_model_that_made_the_list(
    api: ApiClient, user: int, pg: PostgresServer
) -> None:
    answer = api.get(f"/recommendations/{user}").json
    list_id, row = answer["meta"]["recommendation_id"], answer["data"][3]
    body = {
        "recommendation_id": list_id,
        "movie_id": row["movie_id"],
        "event": "clicked",
        "position": row["rank"],
        "user_id": user,
    }
    sent = api.post("/feedback", body)
    assert sent.status == 201
    assert sent.json["model_version"] == answer["meta"]["model_version"] == "7"
    assert sent.json["listed_at"].endswith("Z")
    again = api.post("/feedback", body)
    assert (again.status, again.json) == (200, sent.json)
    assert stored(pg, list_id) == [(row["movie_id"], "clicked", user, 4, "7")]


def test_a_session_s_feedback_has_no_user(api: ApiClient, pg: PostgresServer) -> None:
    answer = api.post("/recommendations", {"n": 3}).json
    list_id = answer["meta"]["recommendation_id"]
    events = [
        {"recommendation_id": list_id, "movie_id": row["movie_id"], "event": "shown", "position": row["rank"]}
        for row in answer["data"]
    ]
    sent = api.post("/feedback/batch", {"events": [*events, events[0] | {"event": "watched"}]})
    assert sent.json == {"stored": 4, "repeated": 0}
    assert api.post("/feedback/batch", {"events": events}).json == {"stored": 0, "repeated": 3}
    assert [row[2] for row in stored(pg, list_id)] == [None] * 4


def test_without_model_the_version_is_empty(untrained: ApiClient, catalogue: Catalogue) -> None:
    answer = untrained.post("/recommendations", {}).json
    body = {
        "recommendation_id": answer["meta"]["recommendation_id"],
        "movie_id": answer["data"][0]["movie_id"],
        "event": "shown",
        "position": 1,
    }
    assert untrained.post("/feedback", body).json["model_version"] == ""


def test_a_dismissed_movie_is_not_recommended_again_to_that_user(api: ApiClient, user: int) -> None:
    answer = api.get(f"/recommendations/{user}").json
    movie = answer["data"][0]["movie_id"]
    body = {
        "recommendation_id": answer["meta"]["recommendation_id"],
        "movie_id": movie,
        "event": "dismissed",
        "position": 1,
        "user_id": user,
    }
    assert api.post("/feedback", body).status == 201
    after = api.get(f"/recommendations/{user}?n=100").json["data"]
    assert movie not in [row["movie_id"] for row in after]
    (block,) = api.get(f"/users/{user}/blocks").json["data"]
    assert (block["movie_id"], block["owner"], block["ends_at"]) == (movie, "dismissed", None)
    other = api.new_user()
    assert movie in [row["movie_id"] for row in api.get(f"/recommendations/{other}?n=100").json["data"]]
    assert api.delete(f"/users/{user}/blocks/{movie}").status == 204
    assert api.get(f"/recommendations/{user}").json["data"] == answer["data"]


def test_serving_a_list_writes_nothing(
    user: int, pg: PostgresServer, contract: Contract, model: Model, tmp_path: Path
) -> None:
    publish(tmp_path / "models", "7", model)
    admin = data.connect(pg.dsn("postgres"))
    with admin.cursor() as cursor:
        cursor.execute("ALTER ROLE dataflix_backend SET default_transaction_read_only = on")
        try:
            reading = ApiClient(create_app(settings_for(tmp_path, pg)).test_client(), contract)
            lists = [reading.get(f"/recommendations/{user}").json, reading.post("/recommendations", {}).json]
        finally:
            cursor.execute("ALTER ROLE dataflix_backend RESET default_transaction_read_only")
    admin.close()
    for answer in lists:
        assert len(answer["data"]) == 10
        assert ListIds(API_KEY).read(answer["meta"]["recommendation_id"]).model_version == "7"


@pytest.mark.parametrize("what", ["user_id", "movie_id"])
def test_feedback_with_an_unknown_user_or_movie_stores_nothing(
    api: ApiClient, user: int, catalogue: Catalogue, pg: PostgresServer, what: str
) -> None:
    list_id = api.get(f"/recommendations/{user}").json["meta"]["recommendation_id"]
    good = {
        "recommendation_id": list_id,
        "movie_id": next(iter(catalogue.titles)),
        "event": "dismissed",
        "position": 1,
        "user_id": user,
    }
    bad = good | {what: NOBODY, "position": 2, "event": "shown"}
    problem = api.post("/feedback/batch", {"events": [good, bad]}).problem(404)
    assert problem["detail"] == f"There is no {what.removesuffix('_id')} with the id {NOBODY}."
    assert stored(pg, list_id) == []
    assert api.get(f"/users/{user}/blocks").json["data"] == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"event": "liked"}, "event"),
        ({"position": 0}, "position"),
        ({"position": 101}, "position"),
        ({"movie_id": 0}, "movie_id"),
        ({"user_id": "1"}, "user_id"),
        ({"recommendation_id": "x" * 201}, "recommendation_id"),
        ({"recommendation_id": ""}, "recommendation_id"),
        ({"recommendation_id": "not ours"}, "recommendation_id"),
        ({"recommendation_id": "é" * 20}, "recommendation_id"),
        ({"recommendation_id": ListIds("another-key-0123456789").new("7")}, "recommendation_id"),
        ({"rating": 4}, "rating"),
    ],
)
def test_bad_feedback_is_refused_with_the_field(api: ApiClient, changes: dict[str, Any], field: str) -> None:
    body = {"recommendation_id": ListIds(API_KEY).new("7"), "movie_id": 1, "event": "shown", "position": 1}
    assert api.post("/feedback", body | changes).problem(422)["errors"][0]["field"] == field


def test_ids_are_unlike_and_cannot_be_altered() -> None:
    ids = ListIds(API_KEY)
    assert len({ids.new("7") for _ in range(100)}) == 100
    for version in (None, "7", "models-é-12"):
        assert ids.read(ids.new(version)).model_version == (version or "")
    made = base64.urlsafe_b64decode(ids.new("7") + "==")
    for place in range(len(made)):
        altered = bytearray(made)
        altered[place] ^= 1
        with pytest.raises(InvalidInputError, match="not the id of a list"):
            ids.read(base64.urlsafe_b64encode(altered).rstrip(b"=").decode())
