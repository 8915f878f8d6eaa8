"""Bad requests: each gets a problem that names the input, and none a 5xx."""

import json

import pytest

from .support.api import API_KEY, ApiClient
from .support.data import Catalogue
from .support.log_records import records_of

# As tracing systems make them.
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
BAD_SIZES = ["0", "-1", "1000000000", "101", "1.0", "ten", "", "1e1", " 5", "٣", "9" * 500]
RATING = {"user_id": 1, "movie_id": 1, "rating": 3}


@pytest.mark.parametrize(
    "path", ["/users", "/movies", "/trending", "/popular", "/ratings/1", "/watched/1", "/rules"]
)
@pytest.mark.parametrize("value", BAD_SIZES)
def test_bad_page_size_is_refused_with_its_range(api: ApiClient, path: str, value: str) -> None:
    problem = api.get(path, query_string={"limit": value}).problem(400)
    assert problem["errors"][0]["field"] == "limit"
    assert "limit must be a whole number from 1 to 100" in problem["detail"]
    assert value[:20] in problem["detail"]


@pytest.mark.parametrize("value", ["-1", "1000001", "x"])
def test_bad_offset_is_refused_with_its_range(api: ApiClient, value: str) -> None:
    assert (
        "offset must be a whole number from 0 to 1000000"
        in api.get(f"/movies?offset={value}").problem(400)["detail"]
    )


@pytest.mark.parametrize("value", ["0", "-1", "1000000000", "all"])
@pytest.mark.parametrize("path", ["/recommendations/1", "/movies/1/similar"])
def test_bad_number_of_movies_is_refused(api: ApiClient, path: str, value: str) -> None:
    assert "n must be a whole number from 1 to 100" in api.get(f"{path}?n={value}").problem(400)["detail"]


def test_misspelt_and_repeated_parameters_are_refused(api: ApiClient) -> None:
    assert "lmit" in api.get("/movies?lmit=5").problem(400)["detail"]
    assert "known are limit, offset" in api.get("/watched/1?page=2").problem(400)["detail"]
    assert "limit" in api.get("/movies?limit=5&limit=6").problem(400)["detail"]
    assert "x" in api.get("/genres?x=1").problem(400)["detail"]


@pytest.mark.parametrize("field", ["q", "genre"])
@pytest.mark.parametrize("value", ["a\x00b", "x" * 201])
def test_bad_search_text_is_refused(api: ApiClient, field: str, value: str) -> None:
    assert api.get("/movies", query_string={field: value}).problem(400)["errors"][0]["field"] == field


@pytest.mark.parametrize(
    "path",
    [
        *("/users/{}", "/movies/{}", "/movies/{}/similar", "/watched/{}", "/ratings/{}"),
        *("/recommendations/{}", "/users/{}/blocks"),
    ],
)
@pytest.mark.parametrize(
    "identifier",
    [
        *("999999999", "9223372036854775807", "9223372036854775808", "1" + "0" * 30, "-1", "0"),
        *("abc", "1.0", "%00", "%E2%82%AC", "%FF", "9" * 3000),
    ],
)
def test_unknown_and_impossible_ids_are_not_found(api: ApiClient, path: str, identifier: str) -> None:
    problem = api.get(path.format(identifier)).problem(404)
    if identifier.isalnum() and len(identifier) < 40:
        assert identifier in problem["detail"]


def test_key_is_required_and_compared(api: ApiClient) -> None:
    missing = api.get("/users", key=None)
    assert "X-API-Key" in missing.problem(401)["detail"]
    assert missing.headers["WWW-Authenticate"].startswith("ApiKey")
    for wrong in ("", "x", API_KEY[:-1], API_KEY + "x", "clé-ÿ", API_KEY.upper()):
        assert api.get("/users", key=wrong).problem(401)["type"] == "urn:dataflix:problem:wrong-api-key"
    assert api.get("/users").status == 200


def test_every_route_but_the_public_ones_needs_the_key(api: ApiClient) -> None:
    public = set()
    for path, operations in api.contract.document["paths"].items():
        for method in operations:
            answer = api.request(method.upper(), path.replace("{", "").replace("}", ""), key=None)
            if answer.status == 401:
                assert operations[method]["security"][0]["apiKey"]
            else:
                public.add(path)
    assert public == {"/healthz", "/health", "/readyz", "/metrics", "/openapi.json"}


def test_unwanted_write_does_not_happen(api: ApiClient, catalogue: Catalogue) -> None:
    user = api.new_user()
    body = {"user_id": user, "movie_id": next(iter(catalogue.titles)), "rating": 4}
    api.post("/ratings", body, key="wrong").problem(401)
    assert api.get(f"/ratings/{user}").json["data"] == []


def test_unknown_address_and_method_are_problems(api: ApiClient) -> None:
    for path in ("/nowhere", "/users/", "//users", "/users/1/2/3", "/%00"):
        assert api.get(path, key=None).problem(404)["type"] == "urn:dataflix:problem:no-such-route"
    answer = api.request("PUT", "/users")
    assert "GET, HEAD, POST" in answer.problem(405)["detail"]
    assert answer.headers["Allow"] == "GET, HEAD, POST"
    assert api.request("OPTIONS", "/users").status == 405


@pytest.mark.parametrize("path", ["/users", "/ratings", "/watched", "/rules", "/feedback", "/users/1/blocks"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"user_id=1", 400),
        (b'{"user_id": NaN}', 400),
        (b'{"user_id": 1,}', 400),
        (b'{"username": "\\ud800"}', 400),
        (b'{"username": "\xff"}', 400),
        (b"[" * 5000 + b"]" * 5000, 400),
        (b"[1]", 422),
        (b'"text"', 422),
        (b"null", 422),
        (b"{}", 422),
        (json.dumps({str(n): n for n in range(3000)}).encode(), 422),
        (b'{"user_id": ' + b"9" * 30 + b"}", 422),
        (b'{"user_id": ' + b"9" * 400 + b"}", 400),
        (b'{"' + b"x" * 70_000 + b'": 1}', 413),
    ],
)
def test_bad_body_is_refused(api: ApiClient, path: str, body: bytes, status: int) -> None:
    problem = api.request("POST", path, data=body, content_type="application/json").problem(status)
    assert len(problem.get("errors", [])) <= 20


@pytest.mark.parametrize("media_type", ["text/plain", "multipart/form-data", None, "application/jsonx"])
def test_other_media_types_are_refused(api: ApiClient, media_type: str | None) -> None:
    answer = api.request("POST", "/ratings", data=json.dumps(RATING), content_type=media_type)
    assert "application/json" in answer.problem(415)["detail"]


def test_many_wrong_fields_are_all_named(api: ApiClient) -> None:
    problem = api.post("/ratings", {"user_id": -1, "rating": 9, "stars": 4}).problem(422)
    assert {error["field"] for error in problem["errors"]} == {"user_id", "movie_id", "rating", "stars"}


def test_every_answer_is_numbered_and_guarded(api: ApiClient) -> None:
    for path in ("/users", "/healthz", "/nowhere"):
        headers = api.get(path, headers={"X-Request-ID": TRACE_ID}).headers
        assert headers["X-Request-ID"] == TRACE_ID
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in headers
    assert api.get("/users").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "sent",
    [
        "Ada.Lovelace",
        "ada-7@example.org",
        "a b",
        "0123456789abcdef",
        "4bf92f3577b34da6a3ce929d0e0e4736" * 2,
        "4BF92F3577B34DA6A3CE929D0E0E4736",
        "é" * 32,
        "",
    ],
)
def test_a_request_id_that_could_be_a_name_is_replaced(
    api: ApiClient, caplog: pytest.LogCaptureFixture, sent: str
) -> None:
    with caplog.at_level("INFO"):
        made = [api.get("/users", headers={"X-Request-ID": sent}).headers["X-Request-ID"] for _ in range(2)]
    assert len({*made, sent}) == 3
    logged = [vars(record)["request_id"] for record in records_of(caplog, "dataflix_backend.access")]
    assert logged == made


def test_a_method_that_could_be_a_name_is_not_logged(
    api: ApiClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        statuses = [api.request(method, "/users").status for method in ("ANNA.SCHMIDT", "PUT", "GET")]
    assert statuses == [405, 405, 200]
    assert [vars(record)["method"] for record in records_of(caplog, "dataflix_backend.access")] == [
        "-",
        "PUT",
        "GET",
    ]
    assert not any("ANNA" in record.getMessage() for record in caplog.records)
