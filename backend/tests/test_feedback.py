"""Feedback counts once, for the model that made the list, and a dismissal blocks the movie."""

import base64
from pathlib import Path
from typing import Any

import pytest

from dataflix_backend.exceptions import InvalidInputError
from dataflix_backend.services.list_ids import ListIds, ListOrigin
from dataflix_recommender import Model
from dataflix_testkit import PostgresServer

from .conftest import running_app, settings_for
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
            with running_app(settings_for(tmp_path, pg)) as app:
                reading = ApiClient(app.test_client(), contract)
                lists = [
                    reading.get(f"/recommendations/{user}").json,
                    reading.post("/recommendations", {}).json,
                ]
        finally:
            cursor.execute("ALTER ROLE dataflix_backend RESET default_transaction_read_only")
    admin.close()
    for answer, asked_for in zip(lists, (user, None), strict=True):
        assert len(answer["data"]) == 10
        assert list_origin(answer, asked_for).model_version == "7"


@pytest.mark.parametrize("what", ["user_id", "movie_id"])
def test_feedback_with_an_unknown_user_or_movie_stores_nothing(
    api: ApiClient, user: int, catalogue: Catalogue, pg: PostgresServer, what: str
) -> None:
    movie = next(iter(catalogue.titles))
    list_id = ListIds(API_KEY).new("7", user, [movie])
    good = {
        "recommendation_id": list_id,
        "movie_id": movie,
        "event": "dismissed",
        "position": 1,
        "user_id": user,
    }
    # The list is ours: its user, or its movie, has been deleted since.
    gone = {"user_id": user, "movie_id": movie} | {what: NOBODY}
    gone_id = ListIds(API_KEY).new("7", gone["user_id"], [gone["movie_id"]])
    bad = good | gone | {"recommendation_id": gone_id, "event": "shown"}
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
        ({"recommendation_id": "x" * 701}, "recommendation_id"),
        ({"recommendation_id": ""}, "recommendation_id"),
        ({"recommendation_id": "not ours"}, "recommendation_id"),
        ({"recommendation_id": "é" * 20}, "recommendation_id"),
        ({"recommendation_id": ListIds("another-key-0123456789").new("7", None, [1])}, "recommendation_id"),
        ({"rating": 4}, "rating"),
    ],
)
def test_bad_feedback_is_refused_with_the_field(api: ApiClient, changes: dict[str, Any], field: str) -> None:
    body = {
        "recommendation_id": ListIds(API_KEY).new("7", None, [1]),
        "movie_id": 1,
        "event": "shown",
        "position": 1,
    }
    assert api.post("/feedback", body | changes).problem(422)["errors"][0]["field"] == field


def test_ids_are_unlike_and_cannot_be_altered() -> None:
    ids = ListIds(API_KEY)
    assert len({ids.new("7", 1, [5]) for _ in range(100)}) == 100
    for version in (None, "7", "models-é-12"):
        origin = ids.read(ids.new(version, 1, [5]), user_id=1, movie_id=5, position=1)
        assert origin.model_version == (version or "")
    made = base64.urlsafe_b64decode(ids.new("7", 1, [5, 6]) + "==")
    for place in range(len(made)):
        altered = bytearray(made)
        altered[place] ^= 1
        with pytest.raises(InvalidInputError, match="not the id of a list"):
            read_any(ids, base64.urlsafe_b64encode(altered).rstrip(b"=").decode())


def test_an_id_of_the_earlier_format_is_refused_with_the_way_out() -> None:
    """It says nothing of user and movies: any event would count."""
    signer = ListIds(API_KEY)._signer
    payload = b"\x01" + bytes(14) + b"7"
    signature = base64.urlsafe_b64decode(signer.get_signature(payload) + b"==")
    old = base64.urlsafe_b64encode(payload + signature).rstrip(b"=").decode()
    with pytest.raises(InvalidInputError, match="ask for a new list"):
        read_any(ListIds(API_KEY), old)


def test_the_id_of_the_longest_list_is_accepted_and_stored(
    api: ApiClient, user: int, catalogue: Catalogue, pg: PostgresServer
) -> None:
    movies = list(catalogue.titles)
    listed = [*(movies * 2)[:99], movies[0]]
    list_id = ListIds(API_KEY).new("a-long-version-name", user, listed)
    assert len(list_id) > 200
    event = {"recommendation_id": list_id, "movie_id": movies[0], "event": "shown", "user_id": user}
    assert api.post("/feedback", event | {"position": 100}).status == 201
    assert stored(pg, list_id) == [(movies[0], "shown", user, 100, "a-long-version-name")]


def test_only_what_was_listed_for_this_user_at_this_place_counts(
    api: ApiClient, user: int, catalogue: Catalogue, pg: PostgresServer
) -> None:
    other = api.new_user()
    answer = api.get(f"/recommendations/{user}?limit=3").json
    session = api.post("/recommendations", {"limit": 3}).json["meta"]["recommendation_id"]
    list_id, rows = answer["meta"]["recommendation_id"], answer["data"]
    listed = {row["movie_id"] for row in rows}
    event = {
        "recommendation_id": list_id,
        "movie_id": rows[0]["movie_id"],
        "event": "clicked",
        "position": 1,
        "user_id": user,
    }
    unlisted = next(movie for movie in catalogue.titles if movie not in listed)
    refused = [
        (event | {"movie_id": unlisted}, "movie_id"),
        (event | {"movie_id": unlisted, "position": 100}, "movie_id"),
        (event | {"movie_id": 2**63 - 1}, "movie_id"),
        (event | {"position": 2}, "position"),
        (event | {"position": 4}, "position"),
        (event | {"user_id": other}, "user_id"),
        (event | {"user_id": None}, "user_id"),
        ({name: value for name, value in event.items() if name != "user_id"}, "user_id"),
        (event | {"recommendation_id": session}, "user_id"),
    ]
    for body, field in refused:
        problem = api.post("/feedback", body).problem(422)
        assert problem["errors"][0]["field"] == field, body
        # A batch is refused whole.
        api.post("/feedback/batch", {"events": [event | {"event": "shown"}, body]}).problem(422)
    assert stored(pg, list_id) == []
    # The user's own event is not lost, whatever was tried before, and counts once.
    assert [api.post("/feedback", event).status for _ in range(2)] == [201, 200]
    assert stored(pg, list_id) == [(rows[0]["movie_id"], "clicked", user, 1, "7")]


def test_no_list_gives_more_events_than_its_movies_have_kinds(
    api: ApiClient, user: int, catalogue: Catalogue, pg: PostgresServer
) -> None:
    list_id = api.get(f"/recommendations/{user}?limit=3").json["meta"]["recommendation_id"]
    for movie in catalogue.titles:
        for event in ("shown", "clicked"):
            for position in range(1, 5):
                body = {"recommendation_id": list_id, "movie_id": movie, "event": event, "user_id": user}
                assert api.post("/feedback", body | {"position": position}).status in (201, 422)
    assert len(stored(pg, list_id)) == 6


def list_origin(answer: dict[str, Any], user_id: int | None) -> ListOrigin:
    row = answer["data"][0]
    list_id = answer["meta"]["recommendation_id"]
    return ListIds(API_KEY).read(list_id, user_id=user_id, movie_id=row["movie_id"], position=1)


def read_any(ids: ListIds, recommendation_id: str) -> ListOrigin:
    return ids.read(recommendation_id, user_id=1, movie_id=5, position=1)
