"""A copy of another application's database: every route takes and answers the application's ids."""

import logging
import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from flask import Flask

from dataflix_backend.app import bare_app
from dataflix_backend.services.container import Services
from dataflix_backend.source import IdForm
from dataflix_backend.web.openapi import document
from dataflix_backend.web.source_ids import ONE, SEVERAL
from dataflix_recommender import Model
from dataflix_testkit import free_port

from .conftest import StartApp, settings_for
from .support import models
from .support.api import ApiClient
from .support.contract import Contract
from .support.copied import (
    ADDRESS,
    ITEMS,
    LONG,
    OUR_NUMBERS,
    PEOPLE,
    Copied,
    segment,
)
from .support.keys import make_key

UNKNOWN = "nobody/here@example.org"


def services_of(app: Flask) -> Services:
    found: Services = app.extensions["dataflix"]
    return found


def test_the_application_s_ids_are_what_every_list_and_row_names(shop: ApiClient, copied: Copied) -> None:
    for key in PEOPLE:
        path = segment(key)
        shown = shop.get(f"/users/{path}")
        assert shown.status == 200, key
        assert shown.json["user_id"] == key
        listed = shop.get(f"/recommendations/{path}").json
        assert {row["movie_id"] for row in listed["data"]} <= set(ITEMS)
        assert {part["movie_id"] for row in listed["data"] for part in row["reason"]["because"]} <= set(ITEMS)
        watched = shop.get(f"/watched/{path}").json["data"]
        assert len(watched) == 4
        assert {row["movie_id"] for row in watched} <= set(ITEMS)
        assert shop.get(f"/users/{path}/export").json["user"]["user_id"] == key
    for listing in ("/movies?limit=100", "/trending", "/popular", f"/movies/{segment(ITEMS[0])}/similar"):
        rows = shop.get(listing).json["data"]
        assert rows
        assert {row["movie_id"] for row in rows} <= set(ITEMS)
    assert shop.get(f"/movies/{segment(ITEMS[3])}").json["movie_id"] == ITEMS[3]
    assert {row["user_id"] for row in shop.get("/users").json["data"]} >= set(PEOPLE)
    found = shop.get("/users", query_string={"q": f"id:{ADDRESS}"}).json
    assert [row["user_id"] for row in found["data"]] == [ADDRESS]
    assert shop.get("/users", query_string={"q": f"id:{UNKNOWN}"}).json["data"] == []


def test_writing_and_taking_back_by_the_application_s_ids(shop: ApiClient, copied: Copied) -> None:
    user = segment(LONG)
    stored = shop.post("/ratings", {"user_id": LONG, "movie_id": ITEMS[20], "rating": 5})
    assert (stored.status, stored.json["user_id"], stored.json["movie_id"]) == (201, LONG, ITEMS[20])
    assert shop.get(f"/ratings/{user}").json["data"][0]["movie_id"] == ITEMS[20]
    assert shop.delete(f"/ratings/{user}/{segment(ITEMS[20])}").status == 204
    problem = shop.delete(f"/ratings/{user}/{segment(ITEMS[20])}").problem(404)
    assert problem["detail"].startswith("Account ")
    assert f'has not rated product "{ITEMS[20]}".' in problem["detail"]
    assert shop.post("/watched", {"user_id": LONG, "movie_id": ITEMS[21]}).json["movie_id"] == ITEMS[21]
    blocked = shop.post(f"/users/{user}/blocks", {"movie_id": ITEMS[22]})
    assert (blocked.json["user_id"], blocked.json["movie_id"]) == (LONG, ITEMS[22])
    assert [row["movie_id"] for row in shop.get(f"/users/{user}/blocks").json["data"]] == [ITEMS[22]]
    assert shop.delete(f"/users/{user}/blocks/{segment(ITEMS[22])}").status == 204
    rule = shop.post(
        "/rules", {"movie_id": ITEMS[23], "kind": "pin", "owner": "x", "ends_at": "2199-01-01T00:00:00Z"}
    )
    assert rule.json["movie_id"] == ITEMS[23]
    assert shop.get(f"/recommendations/{user}").json["data"][0]["movie_id"] == ITEMS[23]
    shop.delete(f"/rules/{rule.json['rule_id']}")
    listed = shop.get(f"/recommendations/{user}", query_string={"exclude": f'["{ITEMS[24]}"]', "n": 3}).json
    first, second = (row["movie_id"] for row in listed["data"][:2])
    sent = {"recommendation_id": listed["meta"]["recommendation_id"], "movie_id": first, "position": 1}
    given = shop.post("/feedback", sent | {"user_id": LONG, "event": "dismissed"})
    assert (given.status, given.json["movie_id"], given.json["user_id"]) == (201, first, LONG)
    batch = {"events": [sent | {"user_id": LONG, "event": "shown", "movie_id": second, "position": 2}]}
    assert shop.post("/feedback/batch", batch).json == {"stored": 1, "repeated": 0}
    again = shop.get(f"/recommendations/{user}", query_string={"exclude": second}).json["data"]
    assert not {first, second} & {row["movie_id"] for row in again}


def test_a_session_names_items_and_hears_of_unknown_ones(shop: ApiClient) -> None:
    body = {
        "ratings": [{"movie_id": ITEMS[0], "rating": 5}, {"movie_id": "no such/product", "rating": 5}],
        "watched": [ITEMS[1]],
        "exclude": [ITEMS[3], "gone"],
    }
    answer = shop.post("/recommendations", body)
    assert answer.json["meta"]["ignored"] == ["no such/product"]
    assert not {ITEMS[0], ITEMS[1], ITEMS[3]} & {row["movie_id"] for row in answer.json["data"]}
    twice = shop.post("/recommendations", {"ratings": [{"movie_id": ITEMS[0], "rating": 5}] * 2})
    assert f'but rate "{ITEMS[0]}" twice' in twice.problem(422)["detail"]


def paths() -> Iterator[Any]:
    for path, methods in document(bare_app())["paths"].items():
        for method in methods:
            if "{user_id}" in path or "{movie_id}" in path:
                yield pytest.param(method.upper(), path, id=f"{method} {path}")


def filled(path: str, user: str, movie: str) -> str:
    return path.replace("{user_id}", segment(user)).replace("{movie_id}", segment(movie))


@pytest.mark.parametrize(("method", "path"), list(paths()))
def test_unknown_ids_are_not_found_and_our_numbers_are_nobody(
    shop: ApiClient, copied: Copied, method: str, path: str
) -> None:
    body: dict[str, Any] = {"json": {"movie_id": ITEMS[0]}} if method == "POST" else {}
    numbers = (str(copied.users["a/b c"]), str(copied.movies[ITEMS[0]]))
    for user, movie in ((UNKNOWN, "gone/x"), numbers, ("x" * 400, "y" * 400), ("\ufffd\x00", "\x00")):
        problem = shop.request(method, filled(path, user, movie), **body).problem(404)
        assert re.match(r"There is no (account|product) with the id ", problem["detail"])
        assert problem["type"] in ("urn:dataflix:problem:unknown-user", "urn:dataflix:problem:unknown-movie")


@pytest.mark.parametrize(("method", "path"), [each for each in paths() if "{user_id}" in each.values[1]])
def test_a_key_of_another_person_is_refused(shop: ApiClient, copied: Copied, method: str, path: str) -> None:
    other = make_key(copied.server, ["read", "write"], copied.users["a/b c"])
    for user in (ADDRESS, UNKNOWN, str(copied.users["a/b c"]), "a", "a/b c "):
        answer = shop.request(method, filled(path, user, ITEMS[0]), key=other)
        assert answer.problem(403)["type"] == "urn:dataflix:problem:another-user"
    if method == "GET":
        assert shop.request(method, filled(path, "a/b c", ITEMS[0]), key=other).status == 200


def test_bodies_that_name_another_person_are_refused(shop: ApiClient, copied: Copied) -> None:
    other = make_key(copied.server, ["read", "write"], copied.users["a/b c"])
    for user in (ADDRESS, UNKNOWN, str(copied.users["a/b c"])):
        for path, body in (
            ("/ratings", {"rating": 4}),
            ("/watched", {}),
            ("/feedback", {"recommendation_id": "x", "event": "shown", "position": 1}),
        ):
            answer = shop.post(path, {"user_id": user, "movie_id": ITEMS[0], **body}, key=other)
            assert answer.problem(403)["type"] == "urn:dataflix:problem:another-user"
    own = {"user_id": "a/b c", "movie_id": ITEMS[29], "rating": 4}
    assert shop.post("/ratings", own, key=other).status == 201
    assert shop.delete(f"/ratings/{segment('a/b c')}/{segment(ITEMS[29])}", key=other).status == 204


@pytest.mark.parametrize("value", [5, 5.0, True, [], {}, [ADDRESS], ""])
def test_what_cannot_be_an_id_is_named(shop: ApiClient, value: object) -> None:
    problem = shop.post("/ratings", {"user_id": value, "movie_id": value, "rating": 4}).problem(422)
    assert {error["field"] for error in problem["errors"]} == {"user_id", "movie_id"}
    assert "must be an id of " in problem["detail"]
    nested = {"ratings": [{"movie_id": ITEMS[0], "rating": 5}, {"movie_id": value, "rating": 5}]}
    assert shop.post("/recommendations", nested).problem(422)["errors"][0]["field"] == "ratings.1.movie_id"


def test_a_deep_body_is_refused_as_ever(shop: ApiClient) -> None:
    deep = '{"watched": [' + '{"movie_id": ' * 900 + "1" + "}" * 900 + "]}"
    sent: dict[str, Any] = {"data": deep, "headers": {"Content-Type": "application/json"}}
    shop.request("POST", "/recommendations", **sent).problem(422)


def test_nobody_is_made_in_a_copy(shop: ApiClient) -> None:
    problem = shop.post("/users", {"username": "new", "email": "new@example.org"}).problem(409)
    assert problem["type"] == "urn:dataflix:problem:copied-from-source"
    assert "copied from shop" in problem["detail"]


def test_erasure_by_the_application_s_id(shop: ApiClient, copied: Copied) -> None:
    number = copied.add_person("leaves/us@example.org")
    copied.execute(
        "INSERT INTO interactions (user_id, movie_id, kind, events_count, first_at, last_at)"
        " VALUES (%s, %s, 'view', 3, now(), now()), (%s, %s, 'purchase', 1, now(), now())",
        (number, copied.movies[ITEMS[0]]) * 2,
    )
    erased = shop.delete(f"/users/{segment('leaves/us@example.org')}")
    assert (erased.status, erased.json["interactions_count"]) == (202, 2)
    shop.get(f"/users/{segment('leaves/us@example.org')}").problem(404)
    assert copied.execute("SELECT pii.is_suppressed('leaves/us@example.org')") == [(True,)]


def test_ids_of_people_are_in_no_log_and_no_metric(
    shop: ApiClient, copied: Copied, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        for path in (f"/users/{segment(ADDRESS)}", f"/recommendations/{segment(ADDRESS)}", "/users"):
            shop.get(path)
        shop.get(f"/users/{segment(UNKNOWN)}").problem(404)
        shop.post("/ratings", {"user_id": ADDRESS, "movie_id": "none", "rating": 5}).problem(404)
        shop.post("/ratings", {"user_id": ADDRESS, "movie_id": ITEMS[0], "rating": 99}).problem(422)
    text = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    text += shop.get("/metrics").body.decode()
    text += str(copied.execute("SELECT string_agg(a::text, ' ') FROM access.audit_log AS a"))
    assert "example.org" not in text
    assert "ann.early" not in text


@pytest.mark.parametrize("kind", ["uuid", "int8"])
def test_ids_of_other_types(shop_app: Flask, shop: ApiClient, copied: Copied, kind: str) -> None:
    key = {"uuid": "6F9619FF-8B86-D011-B42D-00C04FC964FF", "int8": "-42"}[kind]
    copied.add_person(key.lower())
    copied.add_item(key.lower())
    copied.execute("UPDATE source.description SET person_id_type = %s, item_id_type = %s", (kind, kind))
    source = services_of(shop_app).source
    source.refresh()
    try:
        sent: Any = int(key) if kind == "int8" else key
        answered = int(key) if kind == "int8" else key.lower()
        client = ApiClient(
            shop_app.test_client(), Contract(orjson.loads(shop_app.test_client().get("/openapi.json").data))
        )
        assert client.get(f"/users/{key}").json["user_id"] == answered
        assert client.get(f"/movies/{key}").json["movie_id"] == answered
        stored = client.post("/ratings", {"user_id": sent, "movie_id": sent, "rating": 3})
        assert (stored.json["user_id"], stored.json["movie_id"]) == (answered, answered)
        assert client.get(f"/ratings/{key}").json["data"][0]["movie_id"] == answered
        problem = client.get("/users/somebody").problem(404)
        assert problem["detail"].endswith({"uuid": "Ids are UUIDs.", "int8": "Ids are whole numbers."}[kind])
        wrong: Any = 5 if kind == "uuid" else "5"
        client.post("/ratings", {"user_id": wrong, "movie_id": sent, "rating": 3}).problem(422)
        client.get(f"/recommendations/{key}", query_string={"exclude": "x,y"}).problem(400)
    finally:
        copied.execute(
            "DELETE FROM users WHERE user_id IN (SELECT user_id FROM source.people WHERE source_key = %s)",
            (key.lower(),),
        )
        copied.execute("DELETE FROM movies WHERE title = 'Something new'")
        copied.execute("UPDATE source.description SET person_id_type = 'text', item_id_type = 'text'")
        source.refresh()


@pytest.mark.parametrize(
    ("kind", "sent", "found"),
    [
        ("int4", "007", "7"),
        ("int8", "9223372036854775808", None),
        ("int8", "\u0661", None),
        ("numeric", "0010.50", "10.5"),
        ("numeric", "-0.0", "0"),
        ("numeric", "-3.10", "-3.1"),
        ("numeric", "1e5", None),
        ("numeric", "9" * 400, "9" * 400),
        ("uuid", "{6F9619FF-8B86-D011-B42D-00C04FC964FF}", None),
        ("uuid", "6F9619FF8B86D011B42D00C04FC964FF", "6f9619ff-8b86-d011-b42d-00c04fc964ff"),
        ("bpchar", "ab  ", "ab"),
        ("citext", "Ann@Example.org", "ann@example.org"),
        ("text", "Ann ", "Ann "),
        ("text", "a\0", None),
        ("text", "", None),
    ],
)
def test_each_id_has_one_spelling(kind: str, sent: str, found: str | None) -> None:
    assert IdForm(kind).from_text(sent) == found


def test_every_field_that_holds_an_id_is_changed() -> None:
    """A new field of ids must be named as the others are, or stand in ONE or SEVERAL."""
    ours = {"rule_id", "erasure_id"}
    found = set()

    def walk(part: Any, name: Any = "") -> None:
        if isinstance(part, dict):
            if part.get("maximum") == 2**63 - 1:
                found.add(name)
            for key, member in part.items():
                named = key if isinstance(member, dict) and key not in ("items", "schema", "anyOf") else name
                walk(member, part.get("name", named) if "in" in part else named)
        elif isinstance(part, list):
            for member in part:
                walk(member, name)

    walk(document(bare_app()))
    assert found <= {*ONE, *SEVERAL, *ours}
    assert found >= {*ONE, *ours}


def test_the_document_of_a_copy_has_its_ids_and_words(shop_app: Flask, shop: ApiClient) -> None:
    described = shop.contract.document
    assert described["paths"]["/movies/{movie_id}"]["get"]["parameters"][0]["schema"]["type"] == "string"
    assert described["paths"]["/movies/{movie_id}"]["get"]["summary"] == "Show a product"
    schemas = described["components"]["schemas"]
    assert schemas["NewRating"]["properties"]["user_id"]["type"] == "string"
    assert schemas["SessionRequest"]["properties"]["watched"]["items"]["type"] == "string"
    assert {part["type"] for part in schemas["NewFeedback"]["properties"]["user_id"]["anyOf"]} == {
        "string",
        "null",
    }
    assert "at /users/{user_id}/blocks" in described["paths"]["/feedback"]["post"]["description"]
    shown = shop.get("/source").json
    assert (shown["name"], shown["person_ids"], shown["words"]["items"]) == ("shop", "string", "products")
    assert [kind["kind"] for kind in shown["kinds"]] == ["purchase", "returned", "view"]


def test_our_own_tables_keep_their_document_and_numbers(api: ApiClient) -> None:
    ours = document(bare_app())
    assert api.get("/openapi.json").json == ours
    shown = api.get("/source").json
    assert shown["name"] is None
    assert shown["words"] == {"item": "movie", "items": "movies", "person": "user", "people": "users"}
    # As before, an encoded slash separates segments.
    assert api.get("/users/1%2Fexport").status == api.get("/users/1/export").status


def test_no_answer_has_a_number_of_ours(shop: ApiClient) -> None:
    user = segment(ADDRESS)
    for path in (
        *(f"/users/{user}/export", f"/recommendations/{user}", f"/watched/{user}", f"/ratings/{user}"),
        *("/movies", "/popular", "/trending", "/rules?state=all", f"/users/{user}/blocks", "/genres"),
        f"/movies/{segment(ITEMS[0])}/similar",
    ):
        body = shop.get(path).body
        assert not any(number in body.replace(b"7000000001", b"") for number in OUR_NUMBERS), path


def test_without_postgres_known_people_are_served_and_others_get_popular_items(
    shop_app: Flask, copied: Copied, shop_model: Model, tmp_path: Any, start_app: StartApp
) -> None:
    """A worker that starts while Postgres is away knows from a file that its numbers are no ids."""
    models.publish(tmp_path / "models", "1", shop_model)
    settings = settings_for(tmp_path, copied.server)
    app = start_app(settings)
    away = settings_for(tmp_path, copied.server, DATAFLIX_POSTGRES_PORT=str(free_port()))

    def got(path: str) -> Any:
        answer = app.test_client().get(path, headers={"X-API-Key": settings.api_key})
        return orjson.loads(answer.data)

    path = f"/recommendations/{segment(ADDRESS)}"
    before = got(path)["data"]
    held = services_of(app)
    # The pool's next connections fail.
    held.database.close()
    held.database._settings = away
    answer = got(path)
    assert answer["meta"]["stale"]
    assert [row["movie_id"] for row in answer["data"]] == [row["movie_id"] for row in before]
    unread = got(f"/recommendations/{segment(UNKNOWN)}")
    assert unread["meta"]["as_of"] is None
    assert {row["movie_id"] for row in unread["data"]} <= set(ITEMS)
    started = start_app(away)
    assert services_of(started).source.current.is_copy
    client = started.test_client()

    def served(path: str, **options: Any) -> Any:
        found = client.open(path, headers={"X-API-Key": settings.api_key}, **options)
        assert found.status_code == 200, found.data
        return orjson.loads(found.data)

    # It never read a person, as a worker of our own tables never did, and knows the items of the last copy.
    assert {row["movie_id"] for row in served("/popular")["data"]} <= set(ITEMS)
    listed = served(path)
    assert (listed["meta"]["stale"], listed["meta"]["as_of"]) == (True, None)
    assert {row["movie_id"] for row in listed["data"]} <= set(ITEMS)
    session = {"watched": [ITEMS[0]], "exclude": [ITEMS[3]]}
    guest = served("/recommendations", method="POST", json=session)
    assert guest["data"][0]["reason"]["because"][0]["movie_id"] == ITEMS[0]
    assert {row["movie_id"] for row in guest["data"]} <= set(ITEMS) - {ITEMS[0], ITEMS[3]}
    assert served(f"/movies/{segment(ITEMS[0])}/similar")["data"]


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"[]",
        b'{"source": "another", "items": {"8000000001": "x"}}',
        b'{"source": 5}',
        b'{"items": {}}',
    ],
)
def test_without_a_usable_file_of_items_a_new_worker_says_what_is_missing(
    copied: Copied, shop_model: Model, tmp_path: Any, content: bytes | None, start_app: StartApp
) -> None:
    models.publish(tmp_path / "models", "1", shop_model)
    settings = settings_for(tmp_path, copied.server)
    start_app(settings)
    file = settings.source_items_file
    assert file.stat().st_mode & 0o077 == 0
    stored = file.read_text()
    assert ITEMS[0] in stored
    assert ADDRESS not in stored
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    away = start_app(settings_for(tmp_path, copied.server, DATAFLIX_POSTGRES_PORT=str(free_port())))
    refused = away.test_client().get("/popular", headers={"X-API-Key": settings.api_key})
    assert refused.status_code == 503
    assert "ids of products are not known" in orjson.loads(refused.data)["detail"]
