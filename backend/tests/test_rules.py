"""Rules and blocks are in force between start and end, and never show a movie that must not be shown."""

from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Any, Self

import pytest

from dataflix_backend.schemas import fields
from dataflix_testkit import PostgresServer

from .support import data
from .support.api import ApiClient
from .support.data import Catalogue

END = "2199-12-31T00:00:00Z"
NOBODY = 999_999_999


class LateClock(datetime):
    """A clock that stands at the end of 2025."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls(2025, 12, 31, tzinfo=tz)


@pytest.fixture(autouse=True)
def rules(pg: PostgresServer) -> Iterator[Any]:
    """A cursor; every rule is gone afterwards."""
    connection = data.connect(pg.dsn("postgres"))
    with connection.cursor() as cursor:
        yield cursor
        cursor.execute("TRUNCATE ranking_rules")
    connection.close()


@pytest.fixture
def fan(api: ApiClient, catalogue: Catalogue) -> int:
    """A user who loves comedies."""
    user = api.new_user()
    for movie_id in catalogue.movies_of("Comedy")[:3]:
        api.post("/ratings", {"user_id": user, "movie_id": movie_id, "rating": 5})
    return user


def rule(api: ApiClient, movie_id: int, kind: str, **more: Any) -> dict[str, Any]:
    body = {"movie_id": movie_id, "kind": kind, "owner": "editors", "ends_at": END, **more}
    answer = api.post("/rules", body)
    assert answer.status == 201
    made: dict[str, Any] = answer.json
    return made


def listed(api: ApiClient, user: int, n: int = 10, **parameters: Any) -> list[Any]:
    rows: list[Any] = api.get(f"/recommendations/{user}", query_string={"n": str(n), **parameters}).json[
        "data"
    ]
    return rows


def movies(rows: list[Any]) -> list[int]:
    return [row["movie_id"] for row in rows]


def test_a_pin_puts_a_movie_at_its_place_and_says_so(api: ApiClient, fan: int, catalogue: Catalogue) -> None:
    before = listed(api, fan, 100)
    unlikely = before[-1]["movie_id"]
    made = rule(api, unlikely, "pin", place=3)
    after = listed(api, fan, 10)
    assert movies(after) == [*movies(before[:2]), unlikely, *movies(before[2:9])]
    assert after[2]["rule"] == {"rule_id": made["rule_id"], "kind": "pin"}
    assert [row["rule"] for row in after if row["movie_id"] != unlikely] == [None] * 9
    # The movie's score and reason stay the same.
    assert after[2]["score"] == before[-1]["score"]
    assert after[2]["reason"] == before[-1]["reason"]
    assert movies(listed(api, fan, 2)) == movies(before[:2])


def test_a_pin_shows_neither_seen_nor_blocked_nor_filtered_movies(
    api: ApiClient, fan: int, catalogue: Catalogue
) -> None:
    seen = catalogue.movies_of("Comedy")[0]
    blocked, other = catalogue.movies_of("Drama")[:2]
    api.post(f"/users/{fan}/blocks", {"movie_id": blocked})
    for movie_id in (seen, blocked, other):
        rule(api, movie_id, "pin")
    rows = listed(api, fan, 100)
    assert rows[0]["movie_id"] == other
    assert not {seen, blocked} & set(movies(rows))
    assert other not in movies(listed(api, fan, 100, genre="Horror"))


def test_a_boost_lifts_and_a_bury_sinks(api: ApiClient, fan: int) -> None:
    before = movies(listed(api, fan, 100))
    lifted, sunk = before[30], before[0]
    boost = rule(api, lifted, "boost", strength=0.9)
    bury = rule(api, sunk, "bury")
    rows = listed(api, fan, 100)
    after = movies(rows)
    assert after.index(lifted) < 10
    assert after[-1] == sunk
    said = {row["movie_id"]: row["rule"] for row in rows}
    assert said[lifted] == {"rule_id": boost["rule_id"], "kind": "boost"}
    assert said[sunk] == {"rule_id": bury["rule_id"], "kind": "bury"}
    assert sorted(after) == sorted(before)
    assert sunk not in movies(listed(api, fan, len(before) - 1))


def test_of_several_rules_the_pin_wins_then_the_bury_then_the_newest(api: ApiClient, fan: int) -> None:
    before = movies(listed(api, fan, 100))
    movie = before[20]
    rule(api, movie, "boost")
    bury = rule(api, movie, "bury")
    rule(api, movie, "boost", strength=1)
    assert listed(api, fan, 100)[-1]["rule"]["rule_id"] == bury["rule_id"]
    rule(api, movie, "pin", place=5)
    newest = rule(api, movie, "pin", place=7)
    assert listed(api, fan)[6]["rule"] == {"rule_id": newest["rule_id"], "kind": "pin"}


def test_rules_apply_to_sessions_and_together_with_knobs(api: ApiClient, catalogue: Catalogue) -> None:
    movie = catalogue.movies_of("Drama")[5]
    rule(api, movie, "pin", place=2)
    rows = api.post("/recommendations", {"diversity": 0.5, "freshness": 0.3}).json["data"]
    assert rows[1]["movie_id"] == movie
    assert len(rows) == 10


def test_ended_and_future_rules_have_no_effect(api: ApiClient, fan: int, rules: Any) -> None:
    before = listed(api, fan)
    movie = listed(api, fan, 100)[-1]["movie_id"]
    later = rule(api, movie, "pin", starts_at="2198-01-01T00:00:00Z")
    assert later["is_active"] is False
    ending = rule(api, movie, "pin")
    assert listed(api, fan)[0]["movie_id"] == movie
    rules.execute(
        "UPDATE ranking_rules SET starts_at = now() - interval '2 hours', ends_at = now() WHERE rule_id = %s",
        (ending["rule_id"],),
    )
    assert listed(api, fan) == before
    assert api.get("/rules").json["data"] == []
    states = {row["rule_id"]: row["is_active"] for row in api.get("/rules?state=all").json["data"]}
    assert states == {later["rule_id"]: False, ending["rule_id"]: False}


def test_rules_are_listed_with_owner_and_end_and_deleted(api: ApiClient, catalogue: Catalogue) -> None:
    movie = catalogue.movies_of("Action")[0]
    made = rule(api, movie, "boost", note="Festival week")
    page = api.get("/rules?limit=1").json
    assert page["data"] == [made]
    assert page["meta"]["total"] == 1
    assert (made["owner"], made["note"], made["strength"]) == ("editors", "Festival week", 0.5)
    assert made["ends_at"] == END
    assert made["title"] == catalogue.titles[movie]
    assert api.delete(f"/rules/{made['rule_id']}").status == 204
    assert str(made["rule_id"]) in api.delete(f"/rules/{made['rule_id']}").problem(404)["detail"]
    assert api.get("/rules").json["data"] == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "hide"}, "kind"),
        ({"kind": "bury", "place": 1}, "place"),
        ({"kind": "pin", "strength": 0.5}, "strength"),
        ({"kind": "pin", "place": 101}, "place"),
        ({"kind": "pin", "place": "1"}, "place"),
        ({"strength": 0}, "strength"),
        ({"strength": 1.1}, "strength"),
        ({"strength": True}, "strength"),
        ({"owner": " "}, "owner"),
        ({"owner": "a\nb"}, "owner"),
        ({"owner": None}, "owner"),
        ({"note": "x" * 501}, "note"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "ends_at"),
        ({"ends_at": "2300-01-01T00:00:00Z"}, "ends_at"),
        ({"ends_at": "soon"}, "ends_at"),
        ({"ends_at": None}, "ends_at"),
        ({"starts_at": END}, "starts_at and ends_at"),
    ],
)
def test_a_bad_rule_is_refused_with_the_field(api: ApiClient, changes: dict[str, Any], field: str) -> None:
    body = {"movie_id": 1, "kind": "boost", "owner": "ann", "ends_at": END} | changes
    problem = api.post("/rules", body).problem(422)
    assert field in problem["errors"][0]["field"]


def test_a_rule_needs_a_movie_owner_and_end(api: ApiClient) -> None:
    missing = api.post("/rules", {"kind": "bury"}).problem(422)
    assert {error["field"] for error in missing["errors"]} == {"movie_id", "owner", "ends_at"}
    body = {"movie_id": NOBODY, "kind": "bury", "owner": "ann", "ends_at": END}
    assert str(NOBODY) in api.post("/rules", body).problem(404)["detail"]


def test_a_blocked_movie_is_not_recommended_until_it_is_taken_away(api: ApiClient, fan: int) -> None:
    before = listed(api, fan, 20)
    unwanted = before[0]["movie_id"]
    path = f"/users/{fan}/blocks"
    made = api.post(path, {"movie_id": unwanted})
    assert (made.status, made.json["owner"], made.json["ends_at"]) == (201, "user", None)
    assert movies(listed(api, fan, 19)) == movies(before)[1:]
    changed = api.post(path, {"movie_id": unwanted, "owner": "parent", "ends_at": END})
    assert (changed.status, changed.json["owner"], changed.json["ends_at"]) == (200, "parent", END)
    assert [row["movie_id"] for row in api.get(path).json["data"]] == [unwanted]
    assert api.delete(f"{path}/{unwanted}").status == 204
    assert listed(api, fan, 20) == before
    assert "is not blocked" in api.delete(f"{path}/{unwanted}").problem(404)["detail"]


def test_a_block_that_has_ended_has_no_effect(api: ApiClient, fan: int, rules: Any) -> None:
    before = listed(api, fan)
    api.post(f"/users/{fan}/blocks", {"movie_id": before[0]["movie_id"], "ends_at": END})
    rules.execute(
        "UPDATE user_blocks SET created_at = now() - interval '2 days', ends_at = now() - interval '1 day'"
        " WHERE user_id = %s",
        (fan,),
    )
    assert listed(api, fan) == before
    assert api.get(f"/users/{fan}/blocks").json["meta"]["total"] == 0


def test_rules_and_blocks_that_have_ended_are_refused(
    api: ApiClient, fan: int, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clocks of the API and of Postgres may differ."""
    monkeypatch.setattr(fields, "datetime", LateClock)
    movie = catalogue.movies_of("Drama")[0]
    block = {"movie_id": movie, "ends_at": "2026-01-01T00:00:00Z"}
    for path, body in (
        (f"/users/{fan}/blocks", block),
        ("/rules", {**block, "kind": "bury", "owner": "ann"}),
    ):
        assert api.post(path, body).problem(422)["errors"][0]["field"] == "ends_at"


def test_blocks_of_one_are_none_of_another(api: ApiClient, fan: int) -> None:
    other = api.new_user()
    before = listed(api, other)
    api.post(f"/users/{fan}/blocks", {"movie_id": before[0]["movie_id"]})
    assert listed(api, other) == before


def test_blocks_with_an_unknown_user_or_movie_are_not_found(api: ApiClient, fan: int) -> None:
    assert str(NOBODY) in api.get(f"/users/{NOBODY}/blocks").problem(404)["detail"]
    assert str(NOBODY) in api.post(f"/users/{NOBODY}/blocks", {"movie_id": 1}).problem(404)["detail"]
    assert str(NOBODY) in api.post(f"/users/{fan}/blocks", {"movie_id": NOBODY}).problem(404)["detail"]
    assert str(NOBODY) in api.delete(f"/users/{NOBODY}/blocks/1").problem(404)["detail"]
