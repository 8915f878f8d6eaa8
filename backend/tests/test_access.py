"""Every route of the OpenAPI document refuses a missing key, a key without the scope, another user's key."""

from collections.abc import Iterator
from typing import Any

import pytest

from dataflix_backend.app import bare_app
from dataflix_backend.web.openapi import document
from dataflix_testkit import PostgresServer

from .support import data
from .support.api import ApiClient
from .support.data import Catalogue
from .support.keys import make_key
from .support.log_records import records_of

DOCUMENT = document(bare_app())
PUBLIC = {"/healthz", "/health", "/readyz", "/metrics", "/openapi.json"}

# All scopes of a key but the one that is needed.
OTHERS = {"read": ["write"], "write": ["read"], "admin": ["read", "write"]}


def routes() -> Iterator[Any]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            if path not in PUBLIC:
                (requirement,) = operation["security"]
                yield pytest.param(method.upper(), path, *requirement["apiKey"], id=f"{method} {path}")


ROUTES = list(routes())
OF_ONE_USER = [route for route in ROUTES if "{user_id}" in route.values[1]]


def filled(path: str, user: int) -> str:
    return path.replace("{user_id}", str(user)).replace("{movie_id}", "1").replace("{rule_id}", "999999")


def body_of(method: str) -> dict[str, Any]:
    return {"json": {}} if method == "POST" else {}


def names_users(schema: Any) -> bool:
    """Return whether a body of that schema can name a user, at any depth."""
    if isinstance(schema, dict):
        if "user_id" in schema.get("properties", {}):
            return True
        reference = schema.get("$ref", "").rpartition("/")[2]
        if reference and names_users(DOCUMENT["components"]["schemas"][reference]):
            return True
        return any(names_users(inner) for inner in schema.values())
    return isinstance(schema, list) and any(names_users(inner) for inner in schema)


@pytest.fixture
def scoped(pg: PostgresServer, api: ApiClient) -> dict[str, str]:
    """Keys without a user, by the scope that they lack."""
    return {lacking: make_key(pg, scopes) for lacking, scopes in OTHERS.items()}


def test_only_these_are_public() -> None:
    public = {
        path
        for path, methods in DOCUMENT["paths"].items()
        if any(operation["security"] == [] for operation in methods.values())
    }
    assert public == PUBLIC


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_no_key_and_no_good_key_are_refused(api: ApiClient, method: str, path: str, scope: str) -> None:
    for key in (None, "", "dfx_" + "A" * 43):
        answer = api.request(method, filled(path, 1), key=key, **body_of(method))
        assert answer.problem(401)["detail"]
        assert "X-API-Key" in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_every_other_scope_together_is_refused(
    api: ApiClient, scoped: dict[str, str], method: str, path: str, scope: str
) -> None:
    answer = api.request(method, filled(path, 1), key=scoped[scope], **body_of(method))
    problem = answer.problem(403)
    assert problem["type"] == "urn:dataflix:problem:insufficient-scope"
    assert f"scope {scope}" in problem["detail"]


@pytest.mark.parametrize(("method", "path", "scope"), OF_ONE_USER)
def test_another_user_s_key_and_an_unbound_key_are_refused(
    api: ApiClient, pg: PostgresServer, method: str, path: str, scope: str
) -> None:
    mine, other = api.new_user(), api.new_user()
    if scope == "admin":
        return
    for key in (make_key(pg, ["read", "write"], other), make_key(pg, ["read", "write"])):
        for spelt in (str(mine), f"0{mine}", "x", "9" * 40):
            answer = api.request(method, filled(path, mine).replace(str(mine), spelt), key=key)
            problem = answer.problem(403)
            assert problem["type"] == "urn:dataflix:problem:another-user"
    own = make_key(pg, ["read", "write"], mine)
    assert api.request(method, filled(path, mine), key=own, **body_of(method)).status not in (401, 403)


def bodies(list_id: str, movie: int, user: int) -> dict[str, Any]:
    """Return a good body for every route whose body names a user."""
    sent = {
        "recommendation_id": list_id,
        "movie_id": movie,
        "event": "dismissed",
        "position": 1,
        "user_id": user,
    }
    return {
        "/ratings": {"user_id": user, "movie_id": movie, "rating": 4},
        "/watched": {"user_id": user, "movie_id": movie},
        "/feedback": sent,
        "/feedback/batch": {"events": [sent]},
    }


def test_bodies_that_name_another_user_are_refused_and_change_nothing(
    api: ApiClient, pg: PostgresServer
) -> None:
    mine, other = api.new_user(), api.new_user()
    listed = api.get(f"/recommendations/{mine}").json
    movie, list_id = listed["data"][0]["movie_id"], listed["meta"]["recommendation_id"]
    sent = bodies(list_id, movie, mine)
    naming = {
        path
        for path, methods in DOCUMENT["paths"].items()
        for operation in methods.values()
        if names_users(operation.get("requestBody"))
    }
    assert naming == set(sent), "a body that names a user needs the method `users` and a line in `bodies`"
    connection = data.connect(pg.dsn("postgres"))
    for path, body in sent.items():
        for key in (make_key(pg, ["read", "write"], other), make_key(pg, ["write"])):
            answer = api.post(path, body, key=key)
            assert answer.problem(403)["type"] == "urn:dataflix:problem:another-user", path
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT (SELECT count(*) FROM ratings WHERE user_id = %(user)s)"
                " + (SELECT count(*) FROM watched_movies WHERE user_id = %(user)s)"
                " + (SELECT count(*) FROM user_blocks WHERE user_id = %(user)s)"
                " + (SELECT count(*) FROM feedback WHERE user_id = %(user)s)",
                {"user": mine},
            )
            assert cursor.fetchone() == (0,)
    own = make_key(pg, ["write"], mine)
    assert {path: api.post(path, body, key=own).status for path, body in sent.items()} == {
        "/ratings": 201,
        "/watched": 201,
        "/feedback": 201,
        "/feedback/batch": 200,
    }
    connection.close()


def test_one_batch_with_another_user_in_it_is_refused_whole(api: ApiClient, pg: PostgresServer) -> None:
    mine, other = api.new_user(), api.new_user()
    listed = api.get(f"/recommendations/{mine}").json
    movie, list_id = listed["data"][0]["movie_id"], listed["meta"]["recommendation_id"]
    batch = {
        "events": [
            bodies(list_id, movie, mine)["/feedback"],
            bodies(list_id, movie, other)["/feedback"] | {"event": "shown"},
        ]
    }
    api.post("/feedback/batch", batch, key=make_key(pg, ["write"], mine)).problem(403)
    assert api.get(f"/users/{mine}/blocks").json["data"] == []


def test_an_anonymous_session_needs_no_user(api: ApiClient, pg: PostgresServer) -> None:
    key = make_key(pg, ["read", "write"])
    answer = api.post("/recommendations", {"n": 3}, key=key)
    assert answer.status == 200
    sent = bodies(answer.json["meta"]["recommendation_id"], answer.json["data"][0]["movie_id"], 1)[
        "/feedback"
    ]
    del sent["user_id"]
    assert api.post("/feedback", sent | {"event": "shown"}, key=key).status == 201


def test_admin_actions_are_on_record_before_they_happen(
    api: ApiClient, pg: PostgresServer, catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    connection = data.connect(pg.dsn("dataflix_backend"))

    def record(request_id: str) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT action, target, key_id IS NOT NULL FROM access.audit_log WHERE request_id = %s",
                (request_id,),
            )
            return list(cursor.fetchall())

    with caplog.at_level("INFO", logger="dataflix_backend.web.auth"):
        created = api.post("/users", {"username": "Audited.Person", "email": "audited@example.org"})
        gone = api.delete("/rules/999999")
        api.get("/users")
        api.request("DELETE", "/rules/Audited.Person")
    assert record(created.headers["X-Request-ID"]) == [("POST /users", "", True)]
    assert record(gone.headers["X-Request-ID"]) == [("DELETE /rules/<rule_id>", "rule_id=999999", True)]
    records = records_of(caplog, "dataflix_backend.web.auth")
    assert [entry.getMessage() for entry in records] == ["admin action"] * 3
    refused = api.delete("/rules/1", key=make_key(pg, ["write"]))
    assert record(refused.headers["X-Request-ID"]) == []
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(a::text, ' ') FROM access.audit_log AS a")
        assert "udited" not in cursor.fetchone()[0]
        for statement in ("DELETE FROM access.audit_log", "UPDATE access.audit_log SET target = ''"):
            with pytest.raises(Exception, match="permission denied"):
                cursor.execute(statement)
    connection.close()
