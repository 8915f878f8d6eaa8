"""A person can export and erase all stored personal data."""

import secrets
import threading
from typing import Any

import psycopg2
import pytest
from flask import Flask

from dataflix_testkit import PostgresServer

from .support.api import Answer, ApiClient
from .support.data import Catalogue

PERSON = {
    "username": "Ada.Unmistakable",
    "email": "ada.unmistakable@example.org",
    "first_name": "Ada",
    "last_name": "Byron",
    "city": "London",
    "state": None,
    "country": "England",
    "birth_year": 1915,
}


@pytest.fixture
def person(api: ApiClient, catalogue: Catalogue) -> int:
    """A user with a row in every table that has users."""
    movies = list(catalogue.titles)
    answer = api.post("/users", PERSON)
    if answer.status == 409:
        name = f"ada{secrets.token_hex(6)}"
        answer = api.post("/users", PERSON | {"username": name, "email": f"{name}@example.org"})
    user_id: int = answer.json["user_id"]
    assert api.post("/ratings", {"user_id": user_id, "movie_id": movies[0], "rating": 4.5}).status == 201
    assert api.post("/ratings", {"user_id": user_id, "movie_id": movies[1], "rating": 1}).status == 201
    assert api.post("/watched", {"user_id": user_id, "movie_id": movies[2]}).status == 201
    listed = api.get(f"/recommendations/{user_id}?n=3").json
    event = {"recommendation_id": listed["meta"]["recommendation_id"], "user_id": user_id, "position": 1}
    event |= {"movie_id": listed["data"][0]["movie_id"], "event": "dismissed"}
    assert api.post("/feedback", event).status == 201
    return user_id


def test_an_export_holds_a_row_of_everything(api: ApiClient, catalogue: Catalogue, person: int) -> None:
    exported = api.get(f"/users/{person}/export").json
    assert exported["user"] == api.get(f"/users/{person}").json
    movies = list(catalogue.titles)
    assert [(row["movie_id"], row["rating"]) for row in exported["ratings"]] == [
        (movies[0], 4.5),
        (movies[1], 1),
    ]
    assert [row["title"] for row in exported["watched"]] == [catalogue.titles[movies[2]]]
    assert [row["event"] for row in exported["feedback"]] == ["dismissed"]
    assert [row["owner"] for row in exported["blocks"]] == ["dismissed"]
    assert exported["api_keys"] == []


def test_an_export_has_every_personal_column(pg: PostgresServer, api: ApiClient, person: int) -> None:
    """A new column of one of these tables must be exported, or listed here with a reason."""
    not_of_the_person = {"key_id", "last_xid"}
    tables = {
        "users": "user",
        "ratings": "ratings",
        "watched_movies": "watched",
        "user_blocks": "blocks",
        "feedback": "feedback",
        "interactions": "interactions",
        "api_keys": "api_keys",
        "erasures": None,
    }
    exported = api.get(f"/users/{person}/export").json
    connection = psycopg2.connect(pg.dsn("postgres"))
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, array_agg(column_name::text) FROM information_schema.columns "
            "WHERE table_schema IN ('public', 'access') AND table_name IN (SELECT table_name "
            "FROM information_schema.columns WHERE column_name = 'user_id') GROUP BY table_name"
        )
        found: dict[str, list[str]] = dict(cursor.fetchall())
    connection.close()
    assert set(found) == set(tables), "a table with user_id is neither exported nor left out on purpose"
    for table, columns in found.items():
        part = tables[table]
        shown: Any = exported[part] if part else None
        if not shown:
            continue
        row = shown if part == "user" else shown[0]
        missing = set(columns) - set(row) - not_of_the_person
        assert missing <= ({"user_id"} if part != "user" else set()), (table, missing)


def test_an_erased_user_is_gone_from_every_route(api: ApiClient, person: int) -> None:
    erased = api.delete(f"/users/{person}")
    assert erased.status == 202
    record = erased.json
    assert (record["ratings_count"], record["watched_count"]) == (2, 1)
    assert (record["blocks_count"], record["feedback_count"]) == (1, 1)
    assert record["verified_at"] is None
    # Numbers and times of the record may hold the digits of the user's id by chance.
    texts = {name: value for name, value in record.items() if not name.endswith(("_at", "_count", "_id"))}
    assert "user_id" not in record
    assert str(person) not in str(texts)
    assert api.get(erased.headers["Location"]).json == record
    for path in (
        f"/users/{person}",
        f"/users/{person}/export",
        f"/ratings/{person}",
        f"/recommendations/{person}",
    ):
        assert api.get(path).problem(404)["type"].endswith("unknown-user")
    assert api.delete(f"/users/{person}").problem(404)
    assert api.post("/ratings", {"user_id": person, "movie_id": 1, "rating": 3}).problem(404)


def test_unknown_erasures_are_not_found(api: ApiClient) -> None:
    assert api.get("/erasures/999999999").problem(404)["type"].endswith("unknown-erasure")


def test_events_that_come_while_a_user_is_erased_leave_nothing_behind(
    pg: PostgresServer, app: Flask, api: ApiClient, catalogue: Catalogue, person: int
) -> None:
    movies = list(catalogue.titles)[5:25]
    answers: list[Answer] = []
    lock = threading.Barrier(len(movies) + 1)

    def rate(movie_id: int) -> None:
        client = ApiClient(app.test_client(), api.contract)
        lock.wait()
        answers.append(client.post("/ratings", {"user_id": person, "movie_id": movie_id, "rating": 5}))

    threads = [threading.Thread(target=rate, args=(movie_id,)) for movie_id in movies]
    for thread in threads:
        thread.start()
    lock.wait()
    record = api.delete(f"/users/{person}").json
    for thread in threads:
        thread.join()
    stored = sum(answer.status == 201 for answer in answers)
    assert {answer.status for answer in answers} <= {201, 404}
    assert record["ratings_count"] == 2 + stored
    connection = psycopg2.connect(pg.dsn("postgres"))
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ratings WHERE user_id = %s", (person,))
        assert cursor.fetchone() == (0,)
    connection.close()
