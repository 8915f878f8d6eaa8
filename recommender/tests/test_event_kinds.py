"""Kinds of events: how they weigh, how a model without ratings serves, and which source a model is of."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dataflix_recommender import (
    DEFAULT_WEIGHT_ROWS,
    OWN_SOURCE,
    ArtifactError,
    ConfidenceWeights,
    Events,
    History,
    InvalidModelError,
    Item,
    KindCounts,
    Model,
    SourceIdentity,
)
from dataflix_recommender.data.artifact import read_manifest, write_artifact

ModelFactory = Callable[..., Model]

KINDS = {"view": 0.5, "purchase": 2.0, "returned": -2.0}
SHOP = SourceIdentity("shop", "7345", 16400)


@pytest.fixture(scope="module")
def weights() -> ConfidenceWeights:
    return ConfidenceWeights.from_rows(DEFAULT_WEIGHT_ROWS, KINDS)


def weigh(
    weights: ConfidenceWeights, kinds: dict[str, int], rating: float | None = None, liked: bool | None = None
) -> float:
    """Return the weight of one item's event."""
    events = replace(Events.from_rows([(7, rating, liked)]), kinds=KindCounts.from_rows([kinds]))
    return float(History.from_events(events, weights).weights[0])


@pytest.mark.parametrize(
    ("kinds", "weight"),
    [
        ({"view": 1}, 0.5),
        ({"view": 7}, 1.5),
        ({"view": 1, "purchase": 3}, 4.5),
        ({"purchase": 1, "view": 1, "returned": 1}, 0.5),
        ({"returned": 1}, -2.0),
        # What speaks for the item and against it cancels out: the part against it decides.
        ({"purchase": 1, "returned": 1}, -2.0),
        # Kinds without a weight in this model: the item was watched.
        ({"shared": 5}, 0.5),
        ({"shared": 5, "purchase": 1}, 2.0),
        ({}, 0.5),
    ],
)
def test_events_add_up_and_repetitions_count_less(
    weights: ConfidenceWeights, kinds: dict[str, int], weight: float
) -> None:
    assert weigh(weights, kinds) == pytest.approx(weight)


@pytest.mark.parametrize(
    ("kinds", "rating", "liked", "weight"),
    [
        ({}, 4.0, None, 2.0),
        ({"view": 1}, 4.0, None, 2.0),
        ({"purchase": 7}, 4.0, None, 6.0),
        ({"purchase": 7}, 1.0, None, -1.5),
        ({"purchase": 7}, 5.0, False, -0.5),
        ({"returned": 1}, 4.0, None, 2.0),
    ],
)
def test_an_opinion_against_an_item_stays_and_one_for_it_counts_at_least_as_much(
    weights: ConfidenceWeights, kinds: dict[str, int], rating: float, liked: bool | None, weight: float
) -> None:
    assert weigh(weights, kinds, rating, liked) == pytest.approx(weight)


def test_without_kinds_every_weight_is_what_it_was(weights: ConfidenceWeights) -> None:
    liked = {"unknown": None, "liked": True, "disliked": False}
    rows = [(rating or None, liked[thumb]) for rating, thumb, _ in DEFAULT_WEIGHT_ROWS]
    events = Events.from_rows([(place, *row) for place, row in enumerate(rows)])
    before = History.from_events(events, ConfidenceWeights.default()).weights
    after = History.from_events(replace(events, kinds=KindCounts.from_rows([{}] * len(rows))), weights)
    assert np.array_equal(after.weights, before)
    assert before.tolist() == [np.float32(weight) for *_, weight in DEFAULT_WEIGHT_ROWS]


@pytest.mark.parametrize("weight", [0.0, float("nan"), float("inf")])
def test_a_kind_without_a_usable_weight_is_refused(weight: float) -> None:
    with pytest.raises(InvalidModelError, match="the weight of kind 'view'"):
        ConfidenceWeights.from_rows(DEFAULT_WEIGHT_ROWS, {"view": weight})


@pytest.fixture
def unrated(make_model: ModelFactory) -> Model:
    """Ten items that people did something with, and nobody rated."""
    items = [
        Item(10 * (place + 1), f"Item {place}", events_count=place * (place % 3), bayesian_mean=2.75)
        for place in range(10)
    ]
    return make_model(np.random.default_rng(2).normal(size=(10, 4)), items=items)


def test_where_nobody_rates_the_number_of_users_is_popularity(unrated: Model) -> None:
    assert unrated.popular(3) == [(90, 16.0), (60, 10.0), (80, 7.0)]
    best = unrated.recommend(History([], [], []), 2)
    assert [item.item_id for item in best] == [90, 60]
    assert best[0].reason is not None
    assert (best[0].reason.kind, best[0].reason.text) == ("popular", "Popular: 16 people")


def with_parts(model: Model, weights: ConfidenceWeights, source: SourceIdentity | None) -> Model:
    info = replace(model.info, source=source)
    return Model(info, model.item_ids, model.item_factors, model.catalogue, weights)


@pytest.mark.parametrize("source", [SHOP, OWN_SOURCE, None])
def test_an_artifact_keeps_kinds_and_source(
    unrated: Model, weights: ConfidenceWeights, source: SourceIdentity | None, tmp_path: Path
) -> None:
    with_parts(unrated, weights, source).save(tmp_path / "artifact")
    loaded = Model.load(tmp_path / "artifact")
    assert loaded.info.source == source
    assert loaded.weights.kinds == KINDS
    assert loaded.popular(3) == unrated.popular(3)
    info = read_manifest(tmp_path / "artifact")["info"]
    if source is SHOP:
        assert info["source"] == {"name": "shop", "system_identifier": "7345", "database_oid": 16400}
    assert ("source" in info) == (source is not None)


def rewritten(model: Model, path: Path, drop: str, **header: object) -> Path:
    """Write the model's artifact without one array, and with another header."""
    model.save(path / "artifact")
    manifest = read_manifest(path / "artifact")
    names = [name for name in manifest["files"] if name != drop]
    arrays = {name: np.load(path / "artifact" / f"{name}.npy") for name in names}
    parts = {"info": manifest["info"], "genre_names": manifest["genre_names"], **header}
    write_artifact(path / "other", arrays, parts)
    return path / "other"


def test_an_older_artifact_loads_without_kinds_and_source(model: Model, tmp_path: Path) -> None:
    older = Model.load(rewritten(model, tmp_path, drop="events_counts"))
    assert older.info.source is None
    assert older.weights.kinds == {}
    assert older.catalogue.events_counts.tolist() == older.catalogue.ratings_counts.tolist()
    assert older.popular(5) == model.popular(5)


@pytest.mark.parametrize("kinds", [{"view": "much"}, {"view": 0}, ["view"]])
def test_an_artifact_with_unusable_kinds_is_refused(model: Model, kinds: object, tmp_path: Path) -> None:
    path = rewritten(model, tmp_path, drop="", kind_weights=json.loads(json.dumps(kinds)))
    with pytest.raises(ArtifactError):
        Model.load(path)


def test_a_source_says_its_name() -> None:
    assert str(SHOP) == "shop (database 16400 of cluster 7345)"
    assert str(replace(SHOP, system_identifier="")) == "shop (database 16400 of cluster unknown)"
    assert str(OWN_SOURCE) == "Dataflix's own Postgres"
