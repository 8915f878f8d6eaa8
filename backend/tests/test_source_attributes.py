"""Attributes of the items of another application: shown, and filters of lists."""

from typing import Any

import pytest

from .support.api import ApiClient
from .support.copied import ADDRESS, COLOURS, ITEMS, Copied, segment


def passing(condition: str) -> set[str]:
    """The items that pass, by what the fixture wrote: a color, a price of 10 and more, two sizes."""
    name, _, value = condition.partition(":")
    found = set()
    for index, key in enumerate(ITEMS):
        values = {"color": [COLOURS[index % 3]], "price": [str(10 + index)], "sizes": ["s", "m"]}[name]
        low, dots, high = value.partition("..")
        is_found = float(low or 0) <= 10 + index <= float(high or 99) if dots else value.lower() in values
        if is_found:
            found.add(key)
    return found


@pytest.mark.parametrize(
    "conditions",
    [
        ["color:red"],
        ["color:RED", "price:12..20"],
        ["sizes:m"],
        ["price:..15"],
        ["price:39"],
        ["color:purple"],
        ["sizes:x", "color:red"],
    ],
)
def test_lists_hold_exactly_what_passes(shop: ApiClient, copied: Copied, conditions: list[str]) -> None:
    wanted = set.intersection(*(passing(condition) for condition in conditions))
    given = {"attribute": ", ".join(conditions), "limit": "100"}
    listed = shop.get("/movies", query_string=given).json
    assert {row["movie_id"] for row in listed["data"]} == wanted
    assert listed["meta"]["total"] == len(wanted)
    recommended = shop.get(f"/recommendations/{segment(ADDRESS)}", query_string=given).json
    assert {row["movie_id"] for row in recommended["data"]} <= wanted
    guest = shop.post("/recommendations", {"attribute": conditions, "limit": 100}).json
    assert {row["movie_id"] for row in guest["data"]} == wanted
    assert guest["meta"]["eligible"] == len(wanted)


def test_an_item_shows_its_attributes_and_its_categories_are_genres(shop: ApiClient) -> None:
    shown = shop.get(f"/movies/{segment(ITEMS[4])}").json
    assert shown["attributes"] == {"color": "green", "price": 14, "sizes": ["S", "M"]}
    assert shown["genres"] == ["Lamps", "Green"]
    assert {"genre": "Lamps", "movies_count": len(ITEMS)} in shop.get("/genres").json["data"]


def test_attributes_named_like_ids_stay(shop: ApiClient, copied: Copied) -> None:
    changed = "UPDATE source.items SET attributes = attributes || %s::jsonb WHERE source_key = %s"
    copied.execute(changed, ('{"movie_id": 5, "exclude": [1]}', ITEMS[2]))
    try:
        attributes = shop.get(f"/movies/{segment(ITEMS[2])}").json["attributes"]
        assert (attributes["movie_id"], attributes["exclude"]) == (5, [1])
    finally:
        copied.execute(
            "UPDATE source.items SET attributes = attributes - 'movie_id' - 'exclude' WHERE source_key = %s",
            (ITEMS[2],),
        )


@pytest.mark.parametrize(
    "wrong", ["color", "color:", ":red", "Color:red", "price:9..1", "color:\0", "x" * 60 + ":1"]
)
def test_what_is_no_filter_is_refused(shop: ApiClient, wrong: Any) -> None:
    shop.get("/movies", query_string={"attribute": wrong}).problem(400)
    shop.post("/recommendations", {"attribute": [wrong]}).problem(422)
    shop.post("/recommendations", {"attribute": [5]}).problem(422)


def test_our_own_movies_have_none(api: ApiClient) -> None:
    first = api.get("/movies?limit=1").json["data"][0]["movie_id"]
    assert api.get(f"/movies/{first}").json["attributes"] == {}
    assert api.get("/movies?attribute=color:red").json["data"] == []
