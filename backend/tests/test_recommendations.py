from typing import Any

import pytest

from dataflix_backend.queries.movies import _STATISTICS
from dataflix_testkit import PostgresServer

from .support import data
from .support.api import ApiClient
from .support.data import Catalogue


def recommended(api: ApiClient, user: int, n: int = 10) -> list[Any]:
    rows: list[Any] = api.get(f"/recommendations/{user}?n={n}").json["data"]
    return rows


def trending_scores(pg: PostgresServer) -> dict[int, float]:
    """Return what the charts without a model are made of, without the minute for which it is kept."""
    connection = data.connect(pg.dsn("dataflix_backend"))
    with connection.cursor() as cursor:
        cursor.execute(_STATISTICS)
        scores = {row[0]: row[-1] for row in cursor.fetchall()}
    connection.close()
    return scores


def like(api: ApiClient, user: int, *movies: int) -> None:
    for movie_id in movies:
        assert api.post("/ratings", {"user_id": user, "movie_id": movie_id, "rating": 5}).status == 201


def test_answer_names_model_and_reasons(api: ApiClient, catalogue: Catalogue) -> None:
    user = api.new_user()
    like(api, user, *catalogue.movies_of("Horror")[:3])
    answer = api.get(f"/recommendations/{user}").json
    meta = answer["meta"]
    assert meta.pop("recommendation_id")
    assert meta == {
        "count": 10,
        "limit": 10,
        "offset": 0,
        "source": "model",
        "model_version": "7",
        "trained_at": "2026-05-17T12:00:00Z",
        "stale": False,
        "as_of": None,
        "eligible": len(catalogue.titles) - 3,
        "ignored": [],
    }
    assert [row["rank"] for row in answer["data"]] == list(range(1, 11))
    scores = [row["score"] for row in answer["data"]]
    assert scores == sorted(scores, reverse=True)
    top = answer["data"][0]
    assert "Horror" in top["genres"]
    assert top["title"] == catalogue.titles[top["movie_id"]]
    assert top["reason"]["text"].startswith("Because you rated Horror Movie")
    assert top["reason"]["popularity"] > 0
    assert explained(top) == pytest.approx(top["score"], abs=1e-5)


def explained(row: Any) -> float:
    """Return the sum of all that a reason says about a score."""
    reason = row["reason"]
    of_history = sum(float(part["contribution"]) for part in reason["because"])
    return of_history + float(reason["other"]) + float(reason["popularity"])


def test_who_comes_back_gets_what_is_popular_lately(
    api: ApiClient, catalogue: Catalogue, pg: PostgresServer
) -> None:
    user = api.new_user()
    like(api, user, *catalogue.movies_of("Horror")[:3])
    here = recommended(api, user)
    connection = data.connect(pg.dsn("postgres"))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE ratings SET rated_at = '2026-01-01' WHERE user_id = %s", (user,))
        cursor.execute(
            "INSERT INTO watched_movies (user_id, movie_id, watched_at) VALUES (%s, %s, %s)",
            (user, catalogue.movies_of("Drama")[0], "2026-02-01"),
        )
    away = recommended(api, user)
    assert [row["movie_id"] for row in away] == sorted(row["movie_id"] for row in away)
    for row in away:
        assert (row["reason"]["kind"], row["reason"]["text"]) == ("trending", "Popular lately")
        assert explained(row) == pytest.approx(row["score"], abs=1e-4)
    like(api, user, catalogue.movies_of("Horror")[3])
    assert {row["reason"]["kind"] for row in recommended(api, user)} == {
        row["reason"]["kind"] for row in here
    }


def test_rating_changes_the_next_answer_and_delete_changes_it_back(
    api: ApiClient, catalogue: Catalogue
) -> None:
    user = api.new_user()
    like(api, user, *catalogue.movies_of("Drama")[:3])
    before = recommended(api, user)
    liked = catalogue.movies_of("Sci-Fi")[:4]
    like(api, user, *liked)
    after = recommended(api, user)
    assert [row["movie_id"] for row in before] != [row["movie_id"] for row in after]
    for movie_id in liked:
        api.delete(f"/ratings/{user}/{movie_id}")
    assert recommended(api, user) == before


def test_seen_movies_are_never_shown_and_all_others_are(api: ApiClient, catalogue: Catalogue) -> None:
    user = api.new_user()
    rated = catalogue.movies_of("Action")[:5]
    watched = catalogue.movies_of("Comedy")[:5]
    like(api, user, *rated)
    for movie_id in watched:
        api.post("/watched", {"user_id": user, "movie_id": movie_id})
    shown = {row["movie_id"] for row in recommended(api, user, 100)}
    assert shown == set(catalogue.titles) - set(rated) - set(watched)


def test_user_without_events_gets_popular_movies(api: ApiClient, catalogue: Catalogue) -> None:
    rows = recommended(api, api.new_user())
    assert len(rows) == 10
    assert {row["reason"]["kind"] for row in rows} <= {"popular", "trending"}


def test_user_who_has_seen_everything_gets_nothing(api: ApiClient, catalogue: Catalogue) -> None:
    user = api.new_user()
    like(api, user, *catalogue.titles)
    answer = api.get(f"/recommendations/{user}").json
    assert answer["data"] == []
    assert answer["meta"]["count"] == 0


@pytest.mark.parametrize("left", [1, 3])
@pytest.mark.parametrize("knobs", ["", "&diversity=0.5", "&freshness=1&popularity=0.5"])
def test_a_short_list_has_all_eligible_movies_and_sane_scores(
    api: ApiClient, catalogue: Catalogue, left: int, knobs: str
) -> None:
    seen = list(catalogue.titles)[left:]
    answer = api.post(
        "/recommendations",
        {
            "ratings": [{"movie_id": movie, "rating": 4} for movie in seen],
            "n": 100,
            **{name: float(value) for name, value in (part.split("=") for part in knobs.split("&") if part)},
        },
    ).json
    assert {row["movie_id"] for row in answer["data"]} == set(list(catalogue.titles)[:left])
    assert answer["meta"]["eligible"] == left
    assert all(abs(row["score"]) < 1e3 for row in answer["data"])


@pytest.fixture
def new_movie(pg: PostgresServer, catalogue: Catalogue) -> Any:
    connection = data.connect(pg.dsn("dataflix_backend"))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO movies (title, genres) VALUES ('Brand New', '{Horror}') RETURNING movie_id"
        )
        movie_id = cursor.fetchone()[0]
        yield movie_id
        cursor.execute("DELETE FROM movies WHERE movie_id = %s", (movie_id,))
    connection.close()


def test_movie_unknown_to_the_model_counts_as_seen_but_is_never_shown(
    api: ApiClient, catalogue: Catalogue, new_movie: int
) -> None:
    user = api.new_user()
    assert new_movie not in {row["movie_id"] for row in recommended(api, user, 100)}
    like(api, user, new_movie)
    assert len(recommended(api, user, 100)) == len(catalogue.titles)


def test_movie_unknown_to_the_model_has_similar_ones_by_genre(api: ApiClient, new_movie: int) -> None:
    answer = api.get(f"/movies/{new_movie}/similar?n=3").json
    assert answer["meta"]["source"] == "genres"
    assert all("Horror" in row["genres"] for row in answer["data"])
    assert len(answer["data"]) == 3


def test_movies_deleted_since_training_are_replaced(
    pg: PostgresServer, api: ApiClient, catalogue: Catalogue
) -> None:
    user = api.new_user()
    like(api, user, *catalogue.movies_of("Horror")[:2])
    before = [row["movie_id"] for row in recommended(api, user, 30)]
    gone = before[:12]
    columns = "movie_id, title, genres, release_year"
    connection = data.connect(pg.dsn("postgres"))
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE kept_ratings AS SELECT * FROM ratings WHERE movie_id = ANY(%s)", (gone,)
        )
        cursor.execute(
            f"CREATE TEMP TABLE kept AS SELECT {columns} FROM movies WHERE movie_id = ANY(%s)", (gone,)
        )
        cursor.execute("DELETE FROM movies WHERE movie_id = ANY(%s)", (gone,))
        try:
            after = recommended(api, user, 10)
            popular = api.get("/popular?limit=100").json["data"]
            second_page = api.get("/popular?limit=10&offset=20").json["data"]
            similar = api.get(f"/movies/{before[20]}/similar?n=20").json["data"]
        finally:
            cursor.execute(f"INSERT INTO movies ({columns}) SELECT * FROM kept")
            cursor.execute("INSERT INTO ratings SELECT * FROM kept_ratings")
    connection.close()
    assert [row["movie_id"] for row in after] == before[12:22]
    assert [row["rank"] for row in after] == list(range(1, 11))
    assert len(popular) == len(catalogue.titles) - len(gone)
    assert second_page == popular[20:30]
    assert len(similar) == 20
    assert not set(gone) & {row["movie_id"] for row in [*popular, *similar]}


def test_charts_follow_the_model(api: ApiClient, catalogue: Catalogue) -> None:
    movie_ids = sorted(catalogue.titles)
    trending = api.get("/trending?limit=3").json
    assert [row["movie_id"] for row in trending["data"]] == movie_ids[:3]
    popular = api.get("/popular?limit=3&offset=1").json
    assert [row["movie_id"] for row in popular["data"]] == movie_ids[-2:-5:-1]
    assert [row["rank"] for row in popular["data"]] == [2, 3, 4]
    assert popular["meta"]["model_version"] == "7"


class TestWithoutModel:
    def test_popularity_stands_in(self, untrained: ApiClient, catalogue: Catalogue) -> None:
        user = untrained.new_user()
        rated = set(catalogue.movies_of("Comedy")[:4])
        like(untrained, user, *rated)
        answer = untrained.get(f"/recommendations/{user}?n=100").json
        assert answer["meta"]["model_version"] is None
        assert answer["meta"]["trained_at"] is None
        assert answer["meta"]["source"] == "popularity"
        assert {row["movie_id"] for row in answer["data"]} >= set(catalogue.titles) - rated
        assert not rated & {row["movie_id"] for row in answer["data"]}
        assert all(row["reason"]["text"] for row in answer["data"])

    def test_charts_come_from_present_ratings(self, untrained: ApiClient, catalogue: Catalogue) -> None:
        for path in ("/popular", "/trending"):
            answer = untrained.get(path).json
            assert answer["meta"]["source"] == "popularity"
            scores = [row["score"] for row in answer["data"]]
            assert scores == sorted(scores, reverse=True)
            assert scores

    def test_a_disliked_movie_does_not_trend(
        self, untrained: ApiClient, catalogue: Catalogue, pg: PostgresServer
    ) -> None:
        disliked, forgiven = catalogue.movies_of("Horror")[:2]
        before = trending_scores(pg)
        for stars, liked, movie_id in ((1, None, disliked), (5, False, disliked), (2, True, forgiven)):
            for _ in range(3):
                body = {
                    "user_id": untrained.new_user(),
                    "movie_id": movie_id,
                    "rating": stars,
                    "liked": liked,
                }
                assert untrained.post("/ratings", body).status == 201
        after = trending_scores(pg)
        assert after[disliked] <= before[disliked]
        assert after[forgiven] > 2.9

    def test_similar_movies_come_from_genres(self, untrained: ApiClient, catalogue: Catalogue) -> None:
        movie_id = catalogue.movies_of("Drama")[1]
        answer = untrained.get(f"/movies/{movie_id}/similar").json
        assert answer["meta"]["source"] == "genres"
        assert answer["meta"]["model_version"] is None
        assert answer["data"][0]["score"] == 1.0

    def test_there_is_no_model_to_tell_about(self, untrained: ApiClient) -> None:
        assert "run.sh pipeline" in untrained.get("/model").problem(404)["detail"]
        assert untrained.get("/readyz", key=None).json["checks"]["model"] == "none"
