"""What the API says to callers of another application: its words for people and items, never ours."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from dataflix_backend.services.ranking.reasons import ReasonWords
from dataflix_backend.source import Words
from dataflix_recommender import TRENDING_UNRATED, Model, Reason

from .support.api import ApiClient
from .support.copied import ADDRESS, ITEMS, segment

# As words: not in a path, a placeholder or the name of a field.
OUR_WORDS = re.compile(r"(?<![\w/{.])(movies?|users?)(?![\w/}])", re.IGNORECASE)


def texts(part: Any, name: str = "") -> Iterator[str]:
    if isinstance(part, dict):
        for key, member in part.items():
            yield from texts(member, key)
    elif isinstance(part, list):
        for member in part:
            yield from texts(member)
    elif name in ("description", "summary", "detail", "message", "text"):
        yield str(part)


def test_the_whole_document_has_the_application_s_words(shop: ApiClient) -> None:
    found = [text for text in texts(shop.contract.document) if OUR_WORDS.search(text)]
    assert found == []


def test_problems_have_the_application_s_words(shop: ApiClient) -> None:
    listed = shop.get(f"/recommendations/{segment(ADDRESS)}?limit=2").json
    first, second = (row["movie_id"] for row in listed["data"])
    feedback = {
        "recommendation_id": listed["meta"]["recommendation_id"],
        "event": "shown",
        "movie_id": first,
        "user_id": ADDRESS,
        "position": 1,
    }
    rated = {"movie_id": ITEMS[0], "rating": 3}
    problems = [
        shop.post("/feedback", feedback | {"position": 2}).problem(422),
        shop.post("/feedback", feedback | {"movie_id": ITEMS[0]}).problem(422),
        shop.post("/feedback", feedback | {"user_id": None}).problem(422),
        shop.post("/recommendations", {"ratings": [rated, rated]}).problem(422),
        shop.post("/recommendations", {"watched": [ITEMS[0]] * 1001}).problem(422),
        shop.post("/recommendations", {"watched": [5]}).problem(422),
        shop.post("/users", {"username": "ann", "email": "a@example.org"}).problem(409),
        shop.get("/users/nobody").problem(404),
        shop.get("/movies/nothing/similar").problem(404),
        shop.delete(f"/watched/{segment(ADDRESS)}/{segment(second)}").problem(404),
        shop.delete(f"/users/{segment(ADDRESS)}/blocks/{segment(second)}").problem(404),
    ]
    said = [text for problem in problems for text in texts(problem)]
    assert [text for text in said if OUR_WORDS.search(text)] == []
    assert "must be the product's rank in the list" in said[0]
    assert f'must rate each product once, but rate "{ITEMS[0]}" twice' in " ".join(said)


def test_what_a_caller_sent_is_quoted_as_it_was(shop: ApiClient) -> None:
    assert "'Movie'" in shop.get("/movies?genre=Movie").problem(400)["detail"]
    assert "'movie'" in shop.get("/popular?attribute=color:movie").problem(400)["detail"]
    assert '"a movie"' in shop.get("/popular?limit=a%20movie").problem(400)["detail"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (Words("product", "products", "user", "users"), "A user rates a product."),
        (Words("item", "items", "owner", "owners"), "An owner rates an item."),
        (Words("unit", "units", "account", "accounts"), "An account rates a unit."),
        (Words(), "A user rates a movie."),
    ],
)
def test_articles_fit_the_words(words: Words, said: str) -> None:
    assert words.said("A user rates a movie.") == said


def test_nobody_watched_what_trends_in_a_shop(shop_model: Model) -> None:
    words = ReasonWords("products", {}, shop_model)
    assert words.put(Reason("trending", TRENDING_UNRATED)) == ("trending", "Trending lately")
