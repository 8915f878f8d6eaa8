import pytest

from .support.api import ApiClient
from .support.data import Catalogue

PERSON = {
    "username": "Zoë.K",
    "email": "zoe@example.org",
    "first_name": "Zoë",
    "last_name": "Krüger",
    "city": "Bern",
    "state": None,
    "country": "Switzerland",
    "birth_year": 1990,
}


def test_created_user_can_be_shown(api: ApiClient) -> None:
    created = api.post("/users", PERSON)
    assert created.status == 201
    shown = api.get(created.headers["Location"])
    assert shown.json == created.json
    assert shown.json | PERSON == shown.json
    assert shown.json["ratings_count"] == shown.json["watched_count"] == 0


@pytest.mark.parametrize("change", [{"username": "ZOO"}, {"email": "Zoo@Example.org"}])
def test_taken_name_or_address_is_refused_whatever_its_case(api: ApiClient, change: dict[str, str]) -> None:
    api.post("/users", {"username": "zoo", "email": "zoo@example.org"})
    before = api.get("/users").json["meta"]["total"]
    problem = api.post("/users", {"username": "other", "email": "other@example.org", **change}).problem(409)
    assert problem["errors"] == [{"field": next(iter(change)), "message": "is taken by another user"}]
    assert api.get("/users").json["meta"]["total"] == before


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"username": ""}, "username"),
        ({"username": "a b"}, "username"),
        ({"username": "a\x00b"}, "username"),
        ({"username": "a\x1bb"}, "username"),
        ({"username": "x" * 65}, "username"),
        ({"username": 5}, "username"),
        ({"email": "nobody"}, "email"),
        ({"email": "a@b@c"}, "email"),
        ({"email": f"{'x' * 250}@a.org"}, "email"),
        ({"first_name": "a\x00"}, "first_name"),
        ({"city": "x" * 101}, "city"),
        ({"birth_year": 1899}, "birth_year"),
        ({"birth_year": 2099}, "birth_year"),
        ({"birth_year": "1990"}, "birth_year"),
        ({"birth_year": True}, "birth_year"),
        ({"nickname": "zed"}, "nickname"),
    ],
)
def test_bad_field_is_named_and_nothing_is_written(
    api: ApiClient, change: dict[str, object], named: str
) -> None:
    before = api.get("/users").json["meta"]["total"]
    problem = api.post("/users", {"username": "fresh", "email": "fresh@example.org", **change}).problem(422)
    assert [error["field"] for error in problem["errors"]] == [named]
    assert named in problem["detail"]
    assert api.get("/users").json["meta"]["total"] == before


def test_missing_fields_are_all_named(api: ApiClient) -> None:
    problem = api.post("/users", {}).problem(422)
    assert [error["field"] for error in problem["errors"]] == ["username", "email"]


def test_users_are_listed_by_id_without_personal_details(api: ApiClient, catalogue: Catalogue) -> None:
    answer = api.get("/users?limit=5").json
    assert [row["user_id"] for row in answer["data"]] == catalogue.users[:5]
    assert set(answer["data"][0]) == {"user_id", "username", "ratings_count", "watched_count", "created_at"}
    assert answer["data"][0]["ratings_count"] > 0


def test_users_are_found_by_the_beginning_of_their_name(api: ApiClient, catalogue: Catalogue) -> None:
    found = api.get("/users?q=VIEWER1").json
    assert {row["username"] for row in found["data"]} == {"viewer1", *(f"viewer1{n}" for n in range(10))}
    assert found["meta"]["total"] == 11
    assert api.get("/users?q=%25").json["data"] == []


def test_pages_join_into_the_whole_list(api: ApiClient, catalogue: Catalogue) -> None:
    total = api.get("/users").json["meta"]["total"]
    pages = [api.get(f"/users?limit=7&offset={offset}").json for offset in range(0, total, 7)]
    ids = [row["user_id"] for page in pages for row in page["data"]]
    assert len(ids) == len(set(ids)) == total
    beyond = api.get(f"/users?limit=7&offset={total}").json
    assert beyond == {"data": [], "meta": {"count": 0, "total": total, "limit": 7, "offset": total}}
