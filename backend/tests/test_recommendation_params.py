"""Filters and rerank options of recommendations, for a user who loves horror."""

from collections.abc import Callable
from typing import Any

import pytest

from dataflix_recommender import Model

from .support.api import ApiClient
from .support.data import Catalogue

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def horror_fan(app: Any, contract: Any, catalogue: Catalogue) -> int:
    api = ApiClient(app.test_client(), contract)
    user = api.new_user()
    for movie_id in catalogue.movies_of("Horror")[:3]:
        api.post("/ratings", {"user_id": user, "movie_id": movie_id, "rating": 5})
    return user


@pytest.fixture
def ask(api: ApiClient, horror_fan: int) -> Ask:
    """Send GET with parameters; checks that the answer is as long as it can be."""

    def asked(**parameters: object) -> Any:
        given = {name: str(value) for name, value in parameters.items()}
        answer = api.get(f"/recommendations/{horror_fan}", query_string=given).json
        wanted = int(given.get("n", 10))
        assert len(answer["data"]) == min(wanted, answer["meta"]["eligible"])
        assert len({row["movie_id"] for row in answer["data"]}) == len(answer["data"])
        return answer

    return asked


@pytest.mark.parametrize(
    "parameters",
    [
        {"genre": "comedy"},
        {"genre": "Comedy, Drama"},
        {"genre": "Comedy,Drama", "genre_match": "all"},
        {"year_from": 1980, "year_to": 1990},
        {"minutes_from": 100, "minutes_to": 120},
        {"min_rating": 3.5},
        {"genre": "Action", "year_to": 1970, "min_rating": 2.5},
        {"genre": "Comedy", "year_to": 1900},
    ],
)
def test_a_list_has_exactly_the_movies_that_pass_the_filter(
    ask: Ask, catalogue: Catalogue, model: Model, parameters: dict[str, Any]
) -> None:
    def passes(movie_id: int) -> bool:
        row = int(model.positions([movie_id])[0])
        genres = {genre.lower() for genre in catalogue.genres[movie_id]}
        wanted = {genre.strip().lower() for genre in parameters.get("genre", "").split(",")} - {""}
        of_genre = wanted <= genres if parameters.get("genre_match") == "all" else bool(wanted & genres)
        mean = model.catalogue.mean_rating(row) or 0
        return (
            (of_genre or not wanted)
            and parameters.get("year_from", 0) <= 1960 + row <= parameters.get("year_to", 3000)
            and parameters.get("minutes_from", 0) <= 80 + row <= parameters.get("minutes_to", 300)
            and mean >= parameters.get("min_rating", 0)
        )

    seen = set(catalogue.movies_of("Horror")[:3])
    expected = {movie_id for movie_id in catalogue.titles if passes(movie_id)} - seen
    answer = ask(n=100, **parameters)
    assert {row["movie_id"] for row in answer["data"]} == expected
    assert answer["meta"]["eligible"] == len(expected)


def test_filters_keep_the_order_of_pure_score(ask: Ask) -> None:
    whole = [row["movie_id"] for row in ask(n=100)["data"] if "Drama" in row["genres"]]
    assert [row["movie_id"] for row in ask(n=5, genre="Drama")["data"]] == whole[:5]


def test_excluded_movies_are_left_out_and_others_fill_up(ask: Ask) -> None:
    first = [row["movie_id"] for row in ask(n=20)["data"]]
    given = ",".join(str(movie_id) for movie_id in [*first[:10], 987_654_321])
    assert [row["movie_id"] for row in ask(n=10, exclude=given)["data"]] == first[10:]


def test_knobs_at_zero_are_pure_score(ask: Ask) -> None:
    plain = ask(n=50)
    zero = ask(n=50, diversity="0", freshness="0.0", popularity=0)
    assert zero["data"] == plain["data"]
    scores = [row["score"] for row in plain["data"]]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("knob", ["diversity", "freshness", "popularity"])
def test_knobs_choose_places_and_leave_scores_and_reasons_alone(ask: Ask, knob: str) -> None:
    plain = {row["movie_id"]: row for row in ask(n=100)["data"]}
    turned = ask(n=100, **{knob: 0.7})["data"]
    assert [row["movie_id"] for row in turned] != list(plain)
    assert {row["movie_id"] for row in turned} == set(plain)
    for place, row in enumerate(turned, start=1):
        assert row == plain[row["movie_id"]] | {"rank": place}


def test_diversity_brings_other_genres(ask: Ask) -> None:
    def genres(diversity: float) -> set[str]:
        rows = ask(n=5, diversity=diversity)["data"]
        return {genre for row in rows for genre in row["genres"]}

    assert genres(0) == {"Horror", "Sci-Fi"} or genres(0) == {"Horror"}
    assert len(genres(1)) == 5


def test_freshness_brings_new_movies(ask: Ask, model: Model) -> None:
    newest = [int(model.item_ids[-1 - n]) for n in range(5)]
    assert [row["movie_id"] for row in ask(n=5, freshness=1)["data"]] == newest


def test_params_of_a_session_are_those_of_a_user(api: ApiClient, ask: Ask, catalogue: Catalogue) -> None:
    movies = catalogue.movies_of("Horror")[:3]
    body = {
        "ratings": [{"movie_id": movie, "rating": 5} for movie in movies],
        "n": 7,
        "genre": ["Drama", "Comedy"],
        "year_from": 1970,
        "diversity": 0.4,
        "popularity": 0.2,
        "exclude": [catalogue.movies_of("Drama")[3]],
    }
    shared = {name: value for name, value in body.items() if name != "ratings"}
    asked = ask(**shared | {"genre": "Drama,Comedy", "exclude": catalogue.movies_of("Drama")[3]})
    assert api.post("/recommendations", body).json["data"] == asked["data"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("diversity", bad) for bad in ("-0.1", "1.01", "nan", "inf", "1e-1", "", "much", "0" * 50)],
        ("freshness", "2"),
        ("popularity", "-1"),
        *[("min_rating", bad) for bad in ("0", "5.1", "good")],
        *[("exclude", bad) for bad in ("", "x", "1,,2", "0", "1;2", ",".join(["7"] * 1001))],
        *[("genre", bad) for bad in ("", "Drama,", "x" * 201, "a\x00", ",".join(["Drama"] * 21))],
        ("genre_match", "both"),
        ("minutes_from", "0"),
        ("minutes_to", "99999"),
        ("year_from", "1800"),
    ],
)
def test_wrong_params_are_refused_with_the_field(
    api: ApiClient, horror_fan: int, name: str, value: str
) -> None:
    answer = api.get(f"/recommendations/{horror_fan}", query_string={name: value})
    assert answer.problem(400)["errors"][0]["field"] == name


def test_n_is_another_name_of_limit(api: ApiClient, horror_fan: int, catalogue: Catalogue) -> None:
    similar = f"/movies/{catalogue.movies_of('Horror')[0]}/similar"
    for path in (f"/recommendations/{horror_fan}", similar):
        by_limit, by_n, by_both = (
            api.get(f"{path}?{query}").json for query in ("limit=7", "n=7", "n=7&limit=7")
        )
        assert len(by_limit["data"]) == by_limit["meta"]["limit"] == 7
        assert by_limit["data"] == by_n["data"] == by_both["data"]
        assert by_limit["meta"]["limit"] == by_n["meta"]["limit"] == by_both["meta"]["limit"]
        assert len(api.get(path).json["data"]) == 10
    lists = [
        api.post("/recommendations", body).json for body in ({"limit": 7}, {"n": 7}, {"n": 7, "limit": 7})
    ]
    assert [len(each["data"]) for each in lists] == [7] * 3
    assert [each["meta"]["limit"] for each in lists] == [7] * 3
    assert lists[0]["data"] == lists[1]["data"] == lists[2]["data"]


def test_n_and_limit_that_differ_are_refused(api: ApiClient, horror_fan: int, catalogue: Catalogue) -> None:
    similar = f"/movies/{next(iter(catalogue.titles))}/similar"
    problems = [
        api.get(f"/recommendations/{horror_fan}?n=7&limit=8").problem(400),
        # A limit that equals the default counts as given.
        api.get(f"/recommendations/{horror_fan}?n=7&limit=10").problem(400),
        api.get(f"{similar}?n=7&limit=8").problem(400),
        api.post("/recommendations", {"n": 7, "limit": 8}).problem(422),
    ]
    for problem in problems:
        assert "limit and n" in problem["errors"][0]["field"]
        assert "n is another name of limit" in problem["detail"]


@pytest.mark.parametrize("name", ["limit", "n"])
@pytest.mark.parametrize("value", ["0", "101", "-1", "1.5", "", "ten"])
def test_a_length_out_of_range_is_refused_with_the_field(
    api: ApiClient, horror_fan: int, catalogue: Catalogue, name: str, value: str
) -> None:
    similar = f"/movies/{next(iter(catalogue.titles))}/similar"
    for path in (f"/recommendations/{horror_fan}", similar):
        problem = api.get(path, query_string={name: value}).problem(400)
        assert problem["errors"][0]["field"] == name
        assert "from 1 to 100" in problem["detail"]


def test_only_new_movies_are_those_without_an_event(ask: Ask, api: ApiClient) -> None:
    # Every movie of the model has ratings.
    assert ask(only_new="true")["meta"]["eligible"] == 0
    assert ask(only_new="false")["meta"]["eligible"] > 0
    assert api.post("/recommendations", {"only_new": True}).json["data"] == []
    api.get("/recommendations/1?only_new=yes").problem(400)
    for wrong in ("true", 1, None):
        api.post("/recommendations", {"only_new": wrong}).problem(422)
