"""Attributes of the items of another application: shown, and filters of lists."""

import json
from collections.abc import Iterable
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
        ["price:39.5"],
        ["price:90..95"],
        ["price:12", "color:red"],
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
    for path in ("/popular", "/trending", f"/movies/{segment(ITEMS[4])}/similar"):
        # All of a ranking, and what of it passes: the same order and scores.
        everything = shop.get(path, query_string={"limit": "100"}).json["data"]
        ranked = shop.get(path, query_string=given).json["data"]
        assert without_ranks(ranked) == without_ranks(
            row for row in everything if row["movie_id"] in wanted
        ), path
        assert [row["rank"] for row in ranked] == list(range(1, len(ranked) + 1))


def without_ranks(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "rank"} for row in rows]


def test_a_page_of_a_chart_counts_what_passes(shop: ApiClient) -> None:
    given = {"attribute": "color:red"}
    whole = shop.get("/popular", query_string=given).json["data"]
    paged = [
        row
        for offset in range(0, len(whole), 2)
        for row in shop.get("/popular", query_string=given | {"limit": "2", "offset": str(offset)}).json[
            "data"
        ]
    ]
    assert len(whole) > 2
    assert paged == whole


def test_similar_by_genres_passes_the_filter(shop: ApiClient, copied: Copied) -> None:
    # The model does not know a new item.
    key = "new by genres"
    number = copied.add_item(key)
    copied.execute("UPDATE movies SET genres = '{Lamps}' WHERE movie_id = %s", (number,))
    try:
        found = shop.get(
            f"/movies/{segment(key)}/similar", query_string={"attribute": "color:red", "limit": "100"}
        ).json
        assert found["meta"]["source"] == "genres"
        assert {row["movie_id"] for row in found["data"]} == passing("color:red")
    finally:
        copied.execute("DELETE FROM source.items WHERE movie_id = %s", (number,))
        copied.execute("DELETE FROM movies WHERE movie_id = %s", (number,))


LISTS = (
    "/movies",
    "/popular",
    "/trending",
    f"/movies/{segment(ITEMS[4])}/similar",
    f"/recommendations/{segment(ADDRESS)}",
)


@pytest.mark.parametrize(
    ("typed", "detail", "nearest"),
    [
        (["colour:red"], "There is no attribute 'colour'. Attributes are color, price, sizes.", ["color"]),
        (["color:gren"], "There is no value 'gren' of the attribute color.", ["color:green", "color:red"]),
        (["color:red", "sizes:xxl"], "There is no value 'xxl' of the attribute sizes.", []),
        (["price:cheap"], "There is no value 'cheap' of the attribute price.", []),
        (["color:1..5"], "The attribute color has no numbers, which LOW..HIGH needs.", []),
        (["color:a, b"], "There is no value 'a, b' of the attribute color.", []),
    ],
)
def test_what_no_item_has_is_refused_alike_everywhere(
    shop: ApiClient, typed: list[str], detail: str, nearest: list[str]
) -> None:
    given = {"attribute": json.dumps(typed)}
    answers = [shop.get(path, query_string=given) for path in LISTS]
    answers.append(shop.post("/recommendations", {"attribute": typed}))
    for answer in answers:
        problem = answer.problem(400)
        assert problem["type"] == "urn:dataflix:problem:unknown-attribute"
        assert problem["detail"].startswith(detail)
        assert problem["nearest"] == nearest


def test_a_value_with_a_comma_is_found_in_json(shop: ApiClient, copied: Copied) -> None:
    changed = "UPDATE source.items SET attributes = attributes || %s WHERE source_key = %s"
    copied.execute(changed, ('{"color": "red, and blue"}', ITEMS[1]))
    try:
        given = {"attribute": '["color:Red, and blue"]'}
        found = shop.get("/movies", query_string=given).json["data"]
        assert [row["movie_id"] for row in found] == [ITEMS[1]]
    finally:
        copied.execute(changed, ('{"color": "green"}', ITEMS[1]))


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
    for path in LISTS:
        shop.get(path, query_string={"attribute": wrong}).problem(400)
    shop.post("/recommendations", {"attribute": [wrong]}).problem(422)
    shop.post("/recommendations", {"attribute": [5]}).problem(422)


def test_our_own_movies_have_none(api: ApiClient) -> None:
    first = api.get("/movies?limit=1").json["data"][0]["movie_id"]
    assert api.get(f"/movies/{first}").json["attributes"] == {}
    for path in ("/movies", "/popular", "/trending", f"/movies/{first}/similar"):
        problem = api.get(f"{path}?attribute=color:red").problem(400)
        assert problem["detail"] == "There is no attribute 'color'. There are none here."
