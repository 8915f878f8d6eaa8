"""POST /recommendations: an anonymous session, of which nothing is stored."""

from typing import Any

import pytest

from dataflix_testkit import PostgresServer

from .support import data
from .support.api import ApiClient
from .support.data import Catalogue

UNKNOWN = 987_654_321
TABLES = ("users", "ratings", "watched_movies", "feedback", "user_blocks")


def rated(*movies: int, rating: float = 5) -> list[dict[str, Any]]:
    return [{"movie_id": movie, "rating": rating} for movie in movies]


def test_a_session_is_answered_as_a_user_with_the_same_movies(api: ApiClient, catalogue: Catalogue) -> None:
    loved, seen = catalogue.movies_of("Sci-Fi")[:3], catalogue.movies_of("Comedy")[:2]
    user = api.new_user()
    for movie_id in loved:
        api.post("/ratings", {"user_id": user, "movie_id": movie_id, "rating": 5, "liked": True})
    for movie_id in seen:
        api.post("/watched", {"user_id": user, "movie_id": movie_id})
    ratings = [movie | {"liked": True} for movie in rated(*loved)]
    of_session = api.post("/recommendations", {"ratings": ratings, "watched": seen, "n": 20})
    of_user = api.get(f"/recommendations/{user}?n=20").json
    assert of_session.status == 200
    assert of_session.json["data"] == of_user["data"]
    ids = [answer["meta"].pop("recommendation_id") for answer in (of_session.json, of_user)]
    assert ids[0] != ids[1]


def test_nothing_of_a_session_is_stored(api: ApiClient, catalogue: Catalogue, pg: PostgresServer) -> None:
    def counts() -> list[int]:
        with data.connect(pg.dsn("postgres")) as connection, connection.cursor() as cursor:
            found = []
            for table in TABLES:
                cursor.execute(f"SELECT count(*) FROM {table}")
                found.append(cursor.fetchone()[0])
            return found

    before = counts()
    movies = list(catalogue.titles)
    api.post("/recommendations", {"ratings": rated(*movies[:5]), "watched": movies[5:9]})
    assert counts() == before


def test_unknown_movies_are_ignored_and_named(api: ApiClient, catalogue: Catalogue) -> None:
    loved = catalogue.movies_of("Horror")[:2]
    alone = api.post("/recommendations", {"ratings": rated(*loved)}).json
    body = {"ratings": rated(*loved, UNKNOWN), "watched": [UNKNOWN + 1, UNKNOWN]}
    answer = api.post("/recommendations", body).json
    assert answer["meta"]["ignored"] == [UNKNOWN, UNKNOWN + 1]
    assert answer["data"] == alone["data"]
    only_unknown = api.post("/recommendations", {"ratings": rated(UNKNOWN)}).json
    assert only_unknown["meta"]["ignored"] == [UNKNOWN]
    assert {row["reason"]["kind"] for row in only_unknown["data"]} <= {"popular", "trending"}


def test_an_empty_session_gets_popular_movies_of_several_genres(api: ApiClient) -> None:
    answer = api.post("/recommendations", {}).json
    assert len(answer["data"]) == 10
    assert {row["reason"]["kind"] for row in answer["data"]} <= {"popular", "trending"}
    assert len({row["genres"][0] for row in answer["data"]}) >= 4


def test_dislikes_alone_are_never_shown_again(api: ApiClient, catalogue: Catalogue) -> None:
    disliked = catalogue.movies_of("Action")
    answer = api.post("/recommendations", {"ratings": rated(*disliked, rating=0.5), "n": 100}).json
    shown = {row["movie_id"] for row in answer["data"]}
    assert shown == set(catalogue.titles) - set(disliked)
    assert answer["meta"]["eligible"] == len(shown)


def test_contributions_and_other_add_up_to_every_score(api: ApiClient, catalogue: Catalogue) -> None:
    movies = list(catalogue.titles)
    ratings = rated(*movies[:30:2], rating=4) + rated(*movies[1:20:2], rating=1.5)
    rows = api.post("/recommendations", {"ratings": ratings, "watched": movies[40:44], "n": 100}).json["data"]
    assert len(rows) == len(movies) - 29
    for row in rows:
        explained = (
            sum(part["contribution"] for part in row["reason"]["because"])
            + row["reason"]["other"]
            + row["reason"]["popularity"]
        )
        assert explained == pytest.approx(row["score"], abs=1e-5)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"ratings": [{"movie_id": 1}]}, "ratings.0.rating"),
        ({"ratings": [{"movie_id": 1, "rating": 6}]}, "ratings.0.rating"),
        ({"ratings": [{"movie_id": "1", "rating": 5}]}, "ratings.0.movie_id"),
        ({"ratings": [{"movie_id": 1, "rating": 5, "stars": 1}]}, "ratings.0.stars"),
        ({"ratings": rated(3, 3)}, "ratings"),
        ({"ratings": rated(*range(1, 1002))}, "ratings"),
        ({"watched": list(range(1, 1002))}, "watched"),
        ({"ratings": rated(*range(1, 700)), "watched": list(range(700, 1200))}, "watched"),
        ({"watched": ["1"]}, "watched"),
        ({"watched": "1,2"}, "watched"),
        ({"n": "5"}, "n"),
        ({"n": 101}, "n"),
        ({"diversity": "0.5"}, "diversity"),
        ({"diversity": 1.5}, "diversity"),
        ({"freshness": True}, "freshness"),
        ({"genre": "Drama"}, "genre"),
        ({"genre": [""]}, "genre"),
        ({"genre": [1]}, "genre"),
        ({"genre_match": "some"}, "genre_match"),
        ({"year_from": 2000, "year_to": 1999}, "year_from and year_to"),
        ({"minutes_from": 0}, "minutes_from"),
        ({"min_rating": 0}, "min_rating"),
        ({"exclude": [0]}, "exclude"),
        ({"user_id": 1}, "user_id"),
    ],
)
def test_invalid_sessions_are_refused_with_the_field(
    api: ApiClient, body: dict[str, Any], field: str
) -> None:
    problem = api.post("/recommendations", body).problem(422)
    assert any(field in error["field"] for error in problem["errors"]), problem["errors"]


def test_the_largest_session_fits(api: ApiClient) -> None:
    ratings = [{"movie_id": 100_000 + n, "rating": 4.5, "liked": False} for n in range(1000)]
    answer = api.post("/recommendations", {"ratings": ratings})
    assert len(answer.json["meta"]["ignored"]) == 1000


def test_without_model_popularity_answers(untrained: ApiClient, catalogue: Catalogue) -> None:
    movies = catalogue.movies_of("Drama")[:3]
    answer = untrained.post("/recommendations", {"ratings": rated(*movies), "n": 100}).json
    assert answer["meta"]["source"] == "popularity"
    shown = {row["movie_id"] for row in answer["data"]}
    assert shown
    assert not shown & set(movies)
