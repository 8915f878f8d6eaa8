"""For any input, the answer is one that the document describes, and never a 5xx."""

import string
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .support.api import ApiClient

# The fixtures live as long as the session, so examples may share them.
shared = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])

WRITTEN_TO = (
    *("/users", "/ratings", "/watched", "/recommendations", "/rules", "/users/1/blocks"),
    *("/feedback", "/feedback/batch"),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
plausible_bodies = st.fixed_dictionaries(
    {},
    optional={
        name: json_values | st.integers(1, 40) | st.sampled_from([0.5, 3, 4.5])
        for name in (
            "user_id",
            "movie_id",
            "rating",
            "liked",
            "watched_at",
            "username",
            "email",
            "birth_year",
            "ratings",
            "exclude",
            "genre",
            "n",
            "diversity",
            "kind",
            "owner",
            "ends_at",
            "event",
            "position",
            "recommendation_id",
            "events",
        )
    },
)
queries = st.dictionaries(
    st.sampled_from(
        [
            "q",
            "genre",
            "year_from",
            "year_to",
            "limit",
            "offset",
            "n",
            "exclude",
            "diversity",
            "state",
            "other",
        ]
    ),
    st.text() | st.integers().map(str),
    max_size=4,
)


@shared
@given(path=st.sampled_from(WRITTEN_TO), body=json_values | plausible_bodies)
def test_bodies(api: ApiClient, path: str, body: Any) -> None:
    try:
        sent = orjson.dumps(body)
    except TypeError:  # an integer beyond 64 bits
        sent = str(body).encode(errors="replace")
    assert api.request("POST", path, data=sent, content_type="application/json").status < 500


@shared
@given(
    path=st.sampled_from(
        [
            *("/users", "/movies", "/movies/1/similar", "/trending"),
            *("/recommendations/1", "/rules", "/users/1/blocks"),
        ]
    ),
    query=queries,
)
def test_queries(api: ApiClient, path: str, query: dict[str, str]) -> None:
    assert api.get(path, query_string=query).status in (200, 400)


@shared
@given(
    path=st.sampled_from(["/users/", "/movies/", "/ratings/", "/watched/", "/recommendations/"]),
    identifier=st.integers().map(str) | st.text(string.printable, min_size=1),
)
def test_ids(api: ApiClient, path: str, identifier: str) -> None:
    encoded = "".join(
        character if character.isalnum() else f"%{ord(character):02X}" for character in identifier
    )
    assert api.get(path + encoded).status in (200, 404, 405)


@shared
@given(limit=st.integers(1, 100), offset=st.integers(0, 200))
def test_pages_agree_with_the_whole(api: ApiClient, limit: int, offset: int) -> None:
    whole = api.get("/movies?limit=100").json
    page = api.get(f"/movies?limit={limit}&offset={offset}").json
    assert page["data"] == whole["data"][offset : offset + limit]
    assert page["meta"]["total"] == len(whole["data"])


@shared
@given(n=st.integers(1, 100))
def test_recommendations_are_a_prefix_of_the_whole(api: ApiClient, n: int) -> None:
    user = api.get("/users?limit=1").json["data"][0]["user_id"]
    whole = api.get(f"/recommendations/{user}?n=100").json["data"]
    part = api.get(f"/recommendations/{user}?n={n}").json["data"]
    assert [row["movie_id"] for row in part] == [row["movie_id"] for row in whole[:n]]
