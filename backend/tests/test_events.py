"""Ratings and views."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dataflix_testkit import PostgresServer

from .support import data
from .support.api import ApiClient
from .support.data import Catalogue

NOBODY = 999_999_999


@pytest.fixture
def movie(catalogue: Catalogue) -> int:
    return next(iter(catalogue.titles))


def rate(api: ApiClient, user: int, movie: int, rating: float, **more: Any) -> Any:
    return api.post("/ratings", {"user_id": user, "movie_id": movie, "rating": rating, **more})


def test_rating_is_created_then_changed(api: ApiClient, user: int, movie: int) -> None:
    assert rate(api, user, movie, 3.5).status == 201
    changed = rate(api, user, movie, 4)
    assert changed.status == 200
    listed = api.get(f"/ratings/{user}").json
    assert listed["meta"]["total"] == 1
    assert listed["data"][0]["rating"] == 4.0
    assert listed["data"][0]["rated_at"] == changed.json["rated_at"]


def test_liked_is_kept_when_left_out_and_taken_away_by_null(api: ApiClient, user: int, movie: int) -> None:
    assert rate(api, user, movie, 4, liked=True).json["liked"] is True
    assert rate(api, user, movie, 3).json["liked"] is True
    assert rate(api, user, movie, 3, liked=None).json["liked"] is None


def test_deleted_rating_is_gone(api: ApiClient, user: int, movie: int) -> None:
    rate(api, user, movie, 2)
    assert api.delete(f"/ratings/{user}/{movie}").status == 204
    assert api.get(f"/ratings/{user}").json["data"] == []
    problem = api.delete(f"/ratings/{user}/{movie}").problem(404)
    assert str(user) in problem["detail"]
    assert str(movie) in problem["detail"]


@pytest.mark.parametrize("rating", [0, 0.25, 3.7, 5.5, -1, 1e308, True, "4", None, [4], {"stars": 4}])
def test_rating_off_the_grid_is_refused_with_its_value(
    api: ApiClient, user: int, movie: int, rating: Any
) -> None:
    problem = api.post("/ratings", {"user_id": user, "movie_id": movie, "rating": rating}).problem(422)
    assert problem["errors"][0]["field"] == "rating"
    assert "0.5 to 5 in steps of 0.5" in problem["detail"]
    if isinstance(rating, float):
        assert str(rating) in problem["detail"]
    assert api.get(f"/ratings/{user}").json["data"] == []


@pytest.mark.parametrize("path", ["/ratings", "/watched"])
def test_unknown_user_or_movie_is_named(api: ApiClient, user: int, movie: int, path: str) -> None:
    more = {"rating": 3} if path == "/ratings" else {}
    of_nobody = api.post(path, {"user_id": NOBODY, "movie_id": movie, **more}).problem(404)
    assert of_nobody["detail"] == f"There is no user with the id {NOBODY}."
    of_nothing = api.post(path, {"user_id": user, "movie_id": NOBODY, **more}).problem(404)
    assert of_nothing["detail"] == f"There is no movie with the id {NOBODY}."
    assert api.get(f"{path}/{user}").json["data"] == []


@pytest.mark.parametrize(
    "identifier", [0, -1, 2**63, 10**19, 1.5, "1", True, None, [], {}, 1e300, [[[[[[1]]]]]]]
)
@pytest.mark.parametrize("field", ["user_id", "movie_id"])
def test_invalid_ids_are_refused_with_the_field(api: ApiClient, field: str, identifier: Any) -> None:
    body = {"user_id": 1, "movie_id": 1, "rating": 3, field: identifier}
    assert api.post("/ratings", body).problem(422)["errors"][0]["field"] == field


def test_view_is_marked_then_changed(api: ApiClient, user: int, movie: int) -> None:
    first = api.post(
        "/watched", {"user_id": user, "movie_id": movie, "watched_at": "2024-02-29T23:00:00+01:00"}
    )
    assert first.status == 201
    assert first.json["watched_at"] == "2024-02-29T22:00:00Z"
    second = api.post("/watched", {"user_id": user, "movie_id": movie})
    assert second.status == 200
    moment = datetime.fromisoformat(second.json["watched_at"])
    assert abs(datetime.now(UTC) - moment) < timedelta(minutes=5)
    listed = api.get(f"/watched/{user}").json
    assert [row["movie_id"] for row in listed["data"]] == [movie]
    assert api.get(f"/users/{user}").json["watched_count"] == 1


@pytest.mark.parametrize(
    "moment",
    [
        "yesterday",
        "2024-02-30T00:00:00Z",
        "2024-02-28T00:00:00",
        "2024-02-28",
        "1899-12-31T23:59:59Z",
        "2990-01-01T00:00:00Z",
        "1700000000",
        1700000000,
        True,
        "2024-02-28T00:00:00Z\x00",
        "2024-02-28T00:00:00+99:99",
    ],
)
def test_a_view_needs_a_past_time_with_its_offset(api: ApiClient, user: int, movie: int, moment: Any) -> None:
    problem = api.post("/watched", {"user_id": user, "movie_id": movie, "watched_at": moment}).problem(422)
    assert problem["errors"][0]["field"] == "watched_at"
    assert api.get(f"/watched/{user}").json["data"] == []


def test_events_are_listed_latest_first_in_pages(api: ApiClient, catalogue: Catalogue) -> None:
    user = api.new_user()
    movies = list(catalogue.titles)[:5]
    for day, movie_id in enumerate(movies, start=1):
        moment = f"2024-03-0{day}T00:00:00Z"
        api.post("/watched", {"user_id": user, "movie_id": movie_id, "watched_at": moment})
    page = api.get(f"/watched/{user}?limit=2&offset=1").json
    assert [row["movie_id"] for row in page["data"]] == [movies[3], movies[2]]
    assert page["meta"] == {"count": 2, "total": 5, "limit": 2, "offset": 1}


EXTREMES = [
    ("0044-03-15 BC", "1900-01-01T00:00:00Z"),
    ("-infinity", "1900-01-01T00:00:00Z"),
    ("0001-01-01", "1900-01-01T00:00:00Z"),
    ("1899-12-31 23:59:59.999999+00", "1900-01-01T00:00:00Z"),
    ("2299-12-31 23:59:59.999999+00", "2299-12-31T23:59:59.999999Z"),
    ("9999-12-31 23:59:59+00", "2299-12-31T23:59:59.999999Z"),
    ("10000-01-01", "2299-12-31T23:59:59.999999Z"),
    ("294276-12-31", "2299-12-31T23:59:59.999999Z"),
    ("infinity", "2299-12-31T23:59:59.999999Z"),
]


@pytest.mark.parametrize(("stored", "shown"), EXTREMES, ids=[stored for stored, _ in EXTREMES])
def test_rows_from_before_the_range_of_times_break_no_answer(
    api: ApiClient, movie: int, pg: PostgresServer, stored: str, shown: str
) -> None:
    user = api.new_user()
    rate(api, user, movie, 4)
    api.post("/watched", {"user_id": user, "movie_id": movie})
    trending = {row["movie_id"] for row in api.get("/trending?limit=100").json["data"]}
    connection = data.connect(pg.dsn("postgres"))
    with connection.cursor() as cursor:
        # As before the constraints: they are put back without a look at the rows.
        for table, column in (
            ("ratings", "rated_at"),
            ("watched_movies", "watched_at"),
            ("users", "created_at"),
        ):
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_{column}_range")
            cursor.execute(f"UPDATE {table} SET {column} = %s WHERE user_id = %s", (stored, user))
    try:
        (rated,) = api.get(f"/ratings/{user}").json["data"]
        (watched,) = api.get(f"/watched/{user}").json["data"]
        assert rated["rated_at"] == watched["watched_at"] == shown
        assert api.get(f"/users/{user}").json["created_at"] == shown
        exported = api.get(f"/users/{user}/export").json
        assert exported["ratings"][0]["rated_at"] == exported["user"]["created_at"] == shown
        assert api.get(f"/recommendations/{user}").status == 200
        assert {row["movie_id"] for row in api.get("/trending?limit=100").json["data"]} == trending
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM users WHERE user_id = %s", (user,))
            for table, column in (
                ("ratings", "rated_at"),
                ("watched_movies", "watched_at"),
                ("users", "created_at"),
            ):
                cursor.execute(
                    f"ALTER TABLE {table} ADD CONSTRAINT {table}_{column}_range CHECK ({column} BETWEEN"
                    " '1900-01-01 00:00:00+00' AND '2299-12-31 23:59:59.999999+00')"
                )
        connection.close()


def test_a_view_can_be_taken_back_and_the_movie_is_recommended_again(
    api: ApiClient, catalogue: Catalogue
) -> None:
    user, movie_id = api.new_user(), catalogue.movies_of("Horror")[0]
    assert api.post("/watched", {"user_id": user, "movie_id": movie_id}).status == 201
    listed = {row["movie_id"] for row in api.get(f"/recommendations/{user}?limit=100").json["data"]}
    assert movie_id not in listed
    assert api.delete(f"/watched/{user}/{movie_id}").status == 204
    assert api.get(f"/watched/{user}").json["data"] == []
    listed = {row["movie_id"] for row in api.get(f"/recommendations/{user}?limit=100").json["data"]}
    assert movie_id in listed
    gone = api.delete(f"/watched/{user}/{movie_id}").problem(404)
    assert gone["type"] == "urn:dataflix:problem:unknown-watch"
    assert api.delete(f"/watched/{user}/999999").problem(404)["type"] == "urn:dataflix:problem:unknown-movie"
    assert (
        api.delete(f"/watched/999999/{movie_id}").problem(404)["type"] == "urn:dataflix:problem:unknown-user"
    )
