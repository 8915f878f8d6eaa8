import pytest

from .support.api import ApiClient
from .support.data import Catalogue


def titles(api: ApiClient, query: str) -> list[str]:
    return [row["title"] for row in api.get(f"/movies?{query}&limit=100").json["data"]]


def test_search_finds_beginnings_of_words_best_match_first(api: ApiClient, catalogue: Catalogue) -> None:
    assert titles(api, "q=the+matrix") == ["The Matrix", "The Matrix Reloaded"]
    assert titles(api, "q=reload+matr") == ["The Matrix Reloaded"]
    assert titles(api, "q=AM%C3%89LIE") == ["Amélie"]
    assert titles(api, "q=nothing+like+it") == []


@pytest.mark.parametrize("text", ["100%25", "100%25+wolf_", "wolf_man"])
def test_wildcards_are_literal(api: ApiClient, catalogue: Catalogue, text: str) -> None:
    assert titles(api, f"q={text}") == ["100% Wolf_Man"]


@pytest.mark.parametrize("text", ["%25", "_", "%27", "%5C", "%26+%7C+%21", "a%27%3A%2A", "%C2%BD", "++"])
def test_odd_search_text_finds_nothing_and_breaks_nothing(
    api: ApiClient, catalogue: Catalogue, text: str
) -> None:
    assert api.get(f"/movies?q={text}").status == 200


def test_filters_combine(api: ApiClient, catalogue: Catalogue) -> None:
    found = api.get("/movies?genre=sci-fi&year_from=1999&year_to=2003").json
    assert {row["title"] for row in found["data"]} == {"The Matrix", "The Matrix Reloaded"}
    assert found["meta"] == {"count": 2, "total": 2, "limit": 20, "offset": 0}
    assert titles(api, "genre=Sci-Fi&year_from=2003") == ["The Matrix Reloaded"]
    assert titles(api, "genre=Opera") == []


def test_years_in_the_wrong_order_are_both_named(api: ApiClient) -> None:
    problem = api.get("/movies?year_from=2000&year_to=1990").problem(400)
    assert "year_from" in problem["detail"]
    assert "year_to" in problem["detail"]


def test_movie_tells_how_it_is_rated_now(api: ApiClient, catalogue: Catalogue, user: int) -> None:
    movie_id = next(iter(catalogue.titles))
    before = api.get(f"/movies/{movie_id}").json
    api.post("/ratings", {"user_id": user, "movie_id": movie_id, "rating": 0.5})
    after = api.get(f"/movies/{movie_id}").json
    assert after["ratings_count"] == before["ratings_count"] + 1
    expected = (before["mean_rating"] * before["ratings_count"] + 0.5) / after["ratings_count"]
    assert after["mean_rating"] == pytest.approx(expected)


def test_genres_are_counted(api: ApiClient, catalogue: Catalogue) -> None:
    answer = api.get("/genres").json
    counts = {row["genre"]: row["movies_count"] for row in answer["data"]}
    expected = {name: sum(name in genres for genres in catalogue.genres.values()) for name in counts}
    assert counts == expected
    assert list(counts) == sorted(counts)
    assert answer["meta"] == {"count": 5}


def test_similar_movies_share_the_genre(api: ApiClient, catalogue: Catalogue) -> None:
    movie_id = catalogue.movies_of("Horror")[1]
    answer = api.get(f"/movies/{movie_id}/similar?n=5").json
    assert [row["rank"] for row in answer["data"]] == [1, 2, 3, 4, 5]
    assert all("Horror" in row["genres"] for row in answer["data"])
    assert movie_id not in {row["movie_id"] for row in answer["data"]}
    assert answer["meta"]["source"] == "model"
    assert answer["meta"]["model_version"] == "7"
