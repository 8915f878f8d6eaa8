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


# As people write them: Persian, Sinhala, Japanese with a wide blank, a no-break space, an emoji of parts.
NAMES = [
    {
        "username": "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",
        "first_name": "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",
    },
    {"username": "sri", "first_name": "\u0dc1\u0dca\u200d\u0dbb\u0dd3\u0db8\u0dcf"},
    {"username": "yamada", "first_name": "\u5c71\u7530\u3000\u592a\u90ce"},
    {"username": "nbsp", "city": "New\u00a0York"},
    {"username": "\U0001f468\u200d\U0001f469\u200d\U0001f467"},
    {"username": "\u200eltr", "last_name": "\u05d3\u200f\u05d4"},
    {"username": "soft", "last_name": "Haupt\u00admann"},
]


@pytest.mark.parametrize("person", NAMES, ids=lambda person: ascii(person["username"]))
def test_names_of_every_script_are_taken_as_they_are(api: ApiClient, person: dict[str, str]) -> None:
    address = f"script{NAMES.index(person)}@example.org"
    created = api.post("/users", person | {"email": address})
    assert created.status == 201
    assert created.json | person == created.json


@pytest.mark.parametrize(
    "character",
    ["\x00", "\x1b", "\n", "\x7f", "\x85", "\u2028", "\u2029", "\u202a", "\u202e", "\u2066", "\u2069"],
    ids=ascii,
)
@pytest.mark.parametrize(
    "field", ["username", "email", "first_name", "last_name", "city", "state", "country"]
)
def test_control_characters_and_bidi_overrides_are_refused(
    api: ApiClient, field: str, character: str
) -> None:
    body = {"username": "plain", "email": "plain@example.org"}
    body[field] = body.get(field, "x").replace("l", f"l{character}") + ("" if field in body else character)
    problem = api.post("/users", body).problem(422)
    assert problem["errors"][0]["field"] == field


@pytest.mark.parametrize(
    "username", ["\u200d\u200c", "\u3164", "\u2800\u00ad", "id:5", "name:anna"], ids=ascii
)
def test_usernames_that_nobody_can_see_or_that_mean_a_search_are_refused(
    api: ApiClient, username: str
) -> None:
    problem = api.post("/users", {"username": username, "email": "unseen@example.org"}).problem(422)
    assert problem["errors"][0]["field"] == "username"


@pytest.mark.parametrize(
    "alike",
    ["\uff4cookAlike", "look\u200balike", "LOOK\u00adALIKE\ufe0f", "lookalik\u212f", "\u200elookalike"],
    ids=ascii,
)
def test_two_usernames_that_look_alike_are_one(api: ApiClient, alike: str) -> None:
    api.post("/users", {"username": "lookalike", "email": "lookalike@example.org"})
    problem = api.post("/users", {"username": alike, "email": "alike@example.org"}).problem(409)
    assert problem["errors"][0]["field"] == "username"
    (first, *_) = api.get("/users", query_string={"q": alike}).json["data"]
    assert first["username"] == "lookalike"


def test_the_sigma_at_the_end_of_a_name_is_a_matter_of_case(api: ApiClient) -> None:
    name, capitals = "\u03c0\u03ad\u03c4\u03c1\u03bf\u03c2", "\u03a0\u0388\u03a4\u03a1\u039f\u03a3"
    assert api.post("/users", {"username": name, "email": "petros1@example.org"}).status == 201
    api.post("/users", {"username": capitals, "email": "petros2@example.org"}).problem(409)
    assert found(api, f"name:{capitals}") == [name]


def test_accents_make_another_username_however_they_are_encoded(api: ApiClient) -> None:
    assert api.post("/users", {"username": "rene", "email": "rene1@example.org"}).status == 201
    assert api.post("/users", {"username": "ren\u00e9", "email": "rene2@example.org"}).status == 201
    api.post("/users", {"username": "RENE\u0301", "email": "rene3@example.org"}).problem(409)


def found(api: ApiClient, q: str) -> list[str]:
    answer = api.get("/users", query_string={"q": q, "limit": 10})
    assert answer.status == 200
    return [row["username"] for row in answer.json["data"]]


def test_the_exact_username_comes_before_all_longer_ones(api: ApiClient) -> None:
    for number in range(12):
        api.post("/users", {"username": f"ares{number}", "email": f"ares{number}@example.org"})
    api.post("/users", {"username": "Ares", "email": "ares@example.org"})
    for text in ("ares", "ARES", "\uff21res"):
        assert found(api, text)[0] == "Ares"
        assert found(api, f"name:{text}") == ["Ares"]
    assert found(api, "name:are") == []


def test_a_username_of_digits_is_never_taken_for_an_id(api: ApiClient, user: int) -> None:
    api.post("/users", {"username": str(user), "email": "digits@example.org"})
    (by_name,) = api.get("/users", query_string={"q": f"name:{user}"}).json["data"]
    (by_id,) = api.get("/users", query_string={"q": f"id:{user}"}).json["data"]
    assert by_id["user_id"] == user != by_name["user_id"]
    assert by_name["username"] == str(user)
    assert found(api, str(user))[0] == str(user)
    assert found(api, f"name:0{user}") == []


@pytest.mark.parametrize(
    "q", ["id:", "id:x", "id:0", "id:-1", "id:9999999999999999999", "id:\u0665", "name:"]
)
def test_a_search_by_id_or_name_without_one_is_refused(api: ApiClient, q: str) -> None:
    problem = api.get("/users", query_string={"q": q}).problem(400)
    assert problem["errors"][0]["field"] == "q"


@pytest.mark.parametrize("q", ["\u200d", "%", "_", "\\", "'"], ids=ascii)
def test_text_of_no_username_finds_nobody(api: ApiClient, q: str) -> None:
    assert found(api, q) == []
