"""New items: what is known of them besides events places them among the others."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from dataflix_recommender import ConfidenceWeights, Events, History, Item, ItemCatalogue, Model
from dataflix_trainer.data.interactions import Interactions
from dataflix_trainer.data.item_features import MAX_FEATURES, NUMBER_RANGES, item_features, parse_attributes
from dataflix_trainer.data.training_data import TrainingData
from dataflix_trainer.errors import DataError
from dataflix_trainer.evaluation.new_items import (
    TEST_PART,
    VALIDATION_PART,
    evaluate_new_items,
    split_new_items,
)
from dataflix_trainer.model.cold_start import factors_with_new_items
from dataflix_trainer.model.fit import FittedModel, fit
from dataflix_trainer.model.hyperparameters import Hyperparameters
from dataflix_trainer.training import TrainingProvenance, fit_and_evaluate

USERS, GROUPS, PER_GROUP = 90, 3, 30
NEW, UNLIKE, BARE = 900, 901, 902
MATERIALS = ("Oak", "steel", "glass")


def attributes_of(group: int, number: int) -> dict[str, Any]:
    """A text, a list and a number, all of which tell the group, and a serial number that tells nothing."""
    return {
        "material": MATERIALS[group],
        "rooms": [f"room {group}", "any"],
        "price": 100.0 * group + number % 7,
        "serial": f"no. {group}/{number}",
    }


@pytest.fixture(scope="module")
def data(weights: ConfidenceWeights) -> TrainingData:
    """Each user likes one group, and nobody has seen the last three items."""
    generator = np.random.default_rng(7)
    rows, columns = [], []
    for user in range(USERS):
        own = generator.choice(PER_GROUP, 10, replace=False) * GROUPS + user % GROUPS
        other = generator.choice(PER_GROUP * GROUPS, 2, replace=False)
        items = np.unique(np.concatenate([own, other]))
        rows.append(np.full(len(items), user))
        columns.append(items)
    row, column = np.concatenate(rows), np.concatenate(columns)
    ids = np.concatenate([np.arange(GROUPS * PER_GROUP), [NEW, UNLIKE, BARE]])
    matrix = csr_matrix((np.full(len(row), 2.5, np.float32), (row, column)), (USERS, len(ids)))
    attributes = [attributes_of(item % GROUPS, item) for item in range(GROUPS * PER_GROUP)]
    new = [attributes_of(1, 1) | {"material": "STEEL", "serial": "new"}, {"material": "paper"}, {}]
    return TrainingData(
        Interactions(np.arange(USERS), ids, matrix, np.arange(matrix.nnz) * 1_000_000),
        ItemCatalogue.from_items(Item(int(item), f"Item {item}") for item in ids),
        weights,
        features=item_features([()] * len(ids), attributes + new),
    )


@pytest.fixture(scope="module")
def model(data: TrainingData) -> Model:
    trained = fit_and_evaluate(
        data,
        Hyperparameters(factors=8),
        TrainingProvenance(),
        threads=1,
        trained_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return trained.model


def history_of(group: int, model: Model, count: int = 8) -> History:
    items = [group + GROUPS * number for number in range(count)]
    return History.from_events(Events.from_rows([(item, 5.0, None) for item in items]), model.weights)


def place_of(item: int, group: int, model: Model, known: int) -> int:
    """The place of an item in the list of a person who knows so many items of a group."""
    listed = model.recommend(history_of(group, model, known), model.size)
    return [row.item_id for row in listed].index(item)


def test_a_new_item_like_a_liked_group_is_offered_to_those_who_like_it(model: Model) -> None:
    # Of its group, 22 items are left, and it is an average one of these.
    assert 3 < place_of(NEW, 1, model, 8) < 20
    # No item of another group comes before it, also when 10 of its own are left.
    assert place_of(NEW, 1, model, 20) <= 10
    for other in (0, 2):
        assert place_of(NEW, other, model, 8) >= PER_GROUP - 8


def test_the_reason_of_a_new_item_adds_up(model: Model) -> None:
    listed = model.recommend(history_of(1, model, 20), 11)
    reason, score = next((row.reason, row.score) for row in listed if row.item_id == NEW)
    assert reason is not None
    assert reason.kind == "because_you_rated"
    assert all(part.item_id % GROUPS == 1 for part in reason.contributions)
    assert sum(
        part.value for part in reason.contributions
    ) + reason.remainder + reason.popularity == pytest.approx(score, abs=1e-5)


def test_a_new_item_has_neighbours_of_its_group(model: Model) -> None:
    assert {item % GROUPS for item, _ in model.similar(NEW, 10)} == {1}


def test_an_item_that_nothing_places_has_no_factors(model: Model) -> None:
    for item in (UNLIKE, BARE):
        assert not model.item_factors[model.positions([item])].any()
        assert model.similar(item, 5) == []


def test_items_with_events_keep_their_factors(data: TrainingData, model: Model) -> None:
    without = fit_and_evaluate(
        TrainingData(data.interactions, data.catalogue, data.weights),
        Hyperparameters(factors=8),
        TrainingProvenance(),
        threads=1,
    ).model
    known = GROUPS * PER_GROUP
    np.testing.assert_array_equal(model.item_factors[:known], without.item_factors[:known])
    assert not without.item_factors[known:].any()


def test_the_evaluation_makes_a_tenth_of_the_items_new(data: TrainingData) -> None:
    parameters = Hyperparameters(factors=8)
    parts = [split_new_items(data, part) for part in (VALIDATION_PART, TEST_PART)]
    for split in parts:
        assert split.new.sum() == GROUPS * PER_GROUP // 10
        assert not split.holdout.train[:, split.new].nnz
        # Every target of a new item is an event, and none of the others is trained on.
        assert split.holdout.targets[:, split.new].nnz > 50
        assert not split.holdout.targets.multiply(split.holdout.known).nnz
    assert not (parts[0].new & parts[1].new).any()
    found = evaluate_new_items(data, parameters, threads=1)
    assert found["new_ndcg@10"]["low"] > found["new_random_ndcg@10"]["high"]
    assert found["ndcg@10"] > found["ndcg@10_without"]
    assert 0 < found["offered"] < 3


def test_the_evaluation_needs_attributes(data: TrainingData) -> None:
    with pytest.raises(DataError, match="0 items have categories"):
        split_new_items(TrainingData(data.interactions, data.catalogue, data.weights), TEST_PART)


def fitted_on(rows: list[list[float]]) -> FittedModel:
    matrix = csr_matrix(np.array(rows, dtype=np.float32))
    return fit(matrix, Hyperparameters(factors=2), threads=1, times=np.arange(matrix.nnz))


def test_an_item_that_was_only_disliked_is_not_new() -> None:
    fitted = fitted_on([[2, 2, -1, 0], [2, 1, -1, 0], [2, 2, -1, 0], [1, 2, 0, 0]])
    found = factors_with_new_items(fitted, item_features([["a"]] * 4, [{}] * 4))
    np.testing.assert_array_equal(found[2], fitted.factors.items[2])
    assert found[3].any()


def test_without_features_nothing_changes() -> None:
    fitted = fitted_on([[2, 0], [2, 0]])
    for features in (item_features([(), ()], [{}, {}]), item_features([["a"], ["b"]], [{}, {}])):
        np.testing.assert_array_equal(factors_with_new_items(fitted, features), fitted.factors.items)


def test_features_are_of_values_that_several_items_have() -> None:
    attributes: list[dict[str, Any]] = [
        {"color": "Red", "sizes": ["S", "M"], "new": True, "text": "only here", "deep": {"a": 1}},
        {"color": "rED", "sizes": ["m", None, ["S"]], "new": True, "none": None},
        {"color": "blue", "new": False, "huge": 10**400, "nan": float("nan")},
    ]
    found = item_features([["Lamps"], ["lamps"], []], attributes).toarray()
    # lamps, color red, size m, new.
    assert found.shape == (3, 4)
    np.testing.assert_array_equal(found[0], np.full(4, 0.5))
    np.testing.assert_array_equal(found[1], np.full(4, 0.5))
    assert not found[2].any()


def test_a_category_is_no_value_of_an_attribute() -> None:
    found = item_features([["red"], ["red"], [], []], [{}, {}, {"color": "red"}, {"color": "red"}]).toarray()
    assert found[0] @ found[1] == 1
    assert found[0] @ found[2] == 0


def test_numbers_of_a_range_are_alike() -> None:
    numbers = item_features([()] * 100, [{"price": value} for value in range(100)]).toarray()
    assert numbers.shape[1] == NUMBER_RANGES
    assert numbers[3] @ numbers[4] == 1
    assert numbers[3] @ numbers[94] == 0
    few = item_features([()] * 90, [{"rating": value % 3} for value in range(90)]).toarray()
    assert len(np.unique(few, axis=0)) == 3
    # One value everywhere, and numbers beyond all that was seen.
    assert item_features([()] * 3, [{"price": 5}, {"price": 5.0}, {"price": True}]).shape[1] == 1


def test_the_most_frequent_features_are_kept() -> None:
    rows = [{"words": [f"w{item}", f"w{item + 1}", "all"]} for item in range(MAX_FEATURES + 50)]
    features = item_features([()] * len(rows), rows)
    assert features.shape[1] == MAX_FEATURES
    assert (np.diff(features.indptr) > 0).all()


@pytest.mark.parametrize("text", ["", "[1]", "{", "5"])
def test_attributes_that_are_no_object_are_refused(text: str) -> None:
    with pytest.raises(DataError, match="attributes of item 7"):
        parse_attributes(7, text)
