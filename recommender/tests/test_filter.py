"""Filters pass the items that fit, and no item for which the property is not known."""

import numpy as np
import pytest

from dataflix_recommender import EMPTY_HISTORY, Filter, Item, Model

from .conftest import build_model

ITEMS = [
    Item(1, "Alien", ("Horror", "Sci-Fi"), 1979, 10, 4.2, duration_minutes=117),
    Item(2, "Airplane!", ("Comedy",), 1980, 5, 3.9, duration_minutes=88),
    Item(3, "Aliens", ("Action", "Horror", "Sci-Fi"), 1986, 8, 4.1, duration_minutes=137),
    Item(4, "Lost", ("Drama",), None, 3, 3.0),
    Item(5, "Never Rated", ("Comedy",), 2020),
    Item(6, "Bare"),
]


@pytest.fixture(scope="module")
def catalogue_model() -> Model:
    return build_model(np.eye(len(ITEMS)), items=ITEMS)


@pytest.mark.parametrize(
    ("asked", "passing"),
    [
        (Filter(), {1, 2, 3, 4, 5, 6}),
        (Filter(genres=("horror",)), {1, 3}),
        (Filter(genres=("Horror", "COMEDY")), {1, 2, 3, 5}),
        (Filter(genres=("Horror", "Action"), all_genres=True), {3}),
        (Filter(genres=("Horror", "horror"), all_genres=True), {1, 3}),
        (Filter(genres=("Western",)), set()),
        (Filter(genres=("Horror", "Western"), all_genres=True), set()),
        (Filter(year_from=1980), {2, 3, 5}),
        (Filter(year_to=1980), {1, 2}),
        (Filter(year_from=1980, year_to=1980), {2}),
        (Filter(minutes_from=117), {1, 3}),
        (Filter(minutes_to=117), {1, 2}),
        (Filter(min_rating=4.0), {1, 3}),
        (Filter(min_rating=0.5), {1, 2, 3, 4}),
        (Filter(genres=("Horror",), year_from=1980, minutes_to=200, min_rating=4.0), {3}),
    ],
)
def test_items_pass_that_fit(catalogue_model: Model, asked: Filter, passing: set[int]) -> None:
    listed = catalogue_model.recommend(EMPTY_HISTORY, 10, eligible=asked.mask(catalogue_model.catalogue))
    assert {item.item_id for item in listed} == passing


def test_running_times_are_saved_with_the_artifact(
    catalogue_model: Model, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("artifact") / "model"
    catalogue_model.save(path)
    loaded = Model.load(path)
    assert loaded.catalogue.durations.tolist() == [117, 88, 137, 0, 0, 0]


def test_an_unknown_user_gets_several_genres() -> None:
    """Twelve items of one genre are rated a little better than the rest. They do not fill the list."""
    genres = ["Drama"] * 12 + ["Comedy", "Horror", "War"] * 4
    items = [
        Item(i + 1, f"Item {i}", (genre,), None, 50, 4.0, bayesian_mean=4.0 - i / 100)
        for i, genre in enumerate(genres)
    ]
    model = build_model(np.eye(24), items=items)
    listed = model.recommend(EMPTY_HISTORY, 10)
    shown = [model.catalogue.genres(int(model.positions([item.item_id])[0]))[0] for item in listed]
    assert listed[0].item_id == 1
    assert len(set(shown)) == 4
    assert shown.count("Drama") <= 5
    assert [item.score for item in listed] == sorted((item.score for item in listed), reverse=True)


def test_only_what_nobody_did_anything_with_is_new() -> None:
    items = [Item(1, "Rated", (), None, 3, 4.0), Item(2, "Watched", events_count=1), Item(3, "New")]
    mask = Filter(only_new=True).mask(build_model(np.eye(3), items=items).catalogue)
    assert mask is not None
    assert mask.tolist() == [False, False, True]
