"""The item-item part: every code path adds it to the score of the factors, and reasons include it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix, random_array

from dataflix_recommender import BatchRanker, History, InvalidModelError, ItemItemWeights, Model, event_values

ITEMS = 40


def with_item_item(model: Model, *, slope: float = 0.2, exponent: float = 0.5) -> Model:
    generator = np.random.default_rng(8)
    matrix = csr_matrix(random_array((ITEMS, ITEMS), density=0.3, rng=generator, dtype=np.float32))
    matrix.data -= 0.3
    info = replace(model.info, activity_exponent=exponent, mean_events=4.0, item_item_slope=slope)
    return Model(
        info,
        model.item_ids,
        model.item_factors,
        model.catalogue,
        model.weights,
        item_item_weights=ItemItemWeights.from_matrix(matrix, slope=slope),
    )


histories = st.dictionaries(
    st.integers(0, ITEMS - 1), st.sampled_from([-1.5, 0.25, 0.5, 1.0, 3.0]), min_size=1, max_size=12
).filter(lambda events: any(weight > 0 for weight in events.values()))


@given(histories)
@settings(max_examples=40)
def test_the_score_is_the_sum_of_both_parts(model: Model, events: dict[int, float]) -> None:
    ours = with_item_item(model)
    positions, weights = np.array(list(events)), np.array(list(events.values()))
    history = History(model.item_ids[positions], weights)
    # The part of the factors. Confidences fall with the square root of the number of events.
    wide = model.item_factors.astype(float)
    confidences = model.info.alpha * weights * (len(events) / 4.0) ** -0.5
    y = wide[positions]
    system = wide.T @ wide + model.info.regularization * np.eye(wide.shape[1])
    system += (y.T * (np.abs(confidences) - 1)) @ y
    user = np.linalg.solve(system, y.T @ np.maximum(confidences, 0))
    values = np.where(weights > 0, np.maximum(0.1, 1 + 0.2 * (weights - 1.5)), 0)
    expected = wide @ user + values @ ours.item_item_weights.matrix.toarray()[positions]
    np.testing.assert_allclose(ours.scores(history), expected, rtol=1e-3, atol=1e-4)


@given(histories)
@settings(max_examples=40)
def test_contributions_sum_to_the_score_and_batch_lists_are_those_of_one_user(
    model: Model, events: dict[int, float]
) -> None:
    ours = with_item_item(model)
    positions = np.sort(np.array(list(events)))
    weights = np.array([events[int(position)] for position in positions])
    history = History(ours.item_ids[positions], weights)
    found = ours.recommend(history, 10)
    shares = ours.contributions(history, [item.item_id for item in found])
    np.testing.assert_allclose(shares.sum(axis=1), [item.score for item in found], rtol=1e-3, atol=1e-4)
    for item in found:
        assert item.reason is not None
        total = sum(part.value for part in item.reason.contributions) + item.reason.remainder
        assert total == pytest.approx(item.score, rel=1e-3, abs=1e-4)
    rows = csr_matrix((weights.astype(np.float32), positions, [0, len(positions)]), shape=(1, ITEMS))
    np.testing.assert_allclose(BatchRanker(ours).scores(rows)[0], ours.scores(history), rtol=1e-4, atol=1e-5)
    ranked, _ = BatchRanker(ours).recommend(rows, 10)
    assert ours.item_ids[ranked[0]].tolist() == [item.item_id for item in found]


def test_item_item_weights_change_recommendations_and_not_similar_items(model: Model) -> None:
    ours = with_item_item(model, exponent=0.0)
    history = History([10, 20], [3.0, 1.0])
    assert ours.scores(history).tolist() != model.scores(history).tolist()
    assert ours.similar(10, 5) == model.similar(10, 5)


def test_disliked_items_add_nothing(model: Model) -> None:
    ours = with_item_item(model)
    both, alone = History([10, 20], [2.0, -1.0]), History([10], [2.0])
    shares = ours.contributions(both, [50])
    assert shares[0, 1] == 0
    assert event_values(np.array([-1.0, 0.25, 1.5, 3.0], dtype=np.float32), 0.2).tolist() == pytest.approx(
        [0, 0.75, 1, 1.3]
    )
    assert not np.array_equal(ours.scores(both), ours.scores(alone))


def test_loaded_item_item_weights_are_memory_mapped(model: Model, tmp_path: Path) -> None:
    ours = with_item_item(model)
    ours.save(tmp_path / "model")
    loaded = Model.load(tmp_path / "model")
    history = History([10, 30, 50], [3.0, 1.0, -1.0])
    np.testing.assert_array_equal(loaded.scores(history), ours.scores(history))
    for name, array in loaded.item_item_weights.arrays.items():
        assert array.tobytes() == ours.item_item_weights.arrays[name].tobytes()
        # Processes share the pages of the file: the array is not a copy.
        assert not array.flags.owndata


@pytest.mark.parametrize(
    ("offsets", "items", "values", "message"),
    [
        ([0, 1, 1], [2], [1.0], "does not have"),
        ([0, 1, 1], [-1], [1.0], "does not have"),
        ([0, 1, 2], [0], [1.0], "cover"),
        ([1, 1, 1], [0], [1.0], "cover"),
        ([0, 1, 0, 1], [0], [1.0], "cover"),
        ([0, 1, 1], [0], [1.0, 2.0], "does not have"),
        ([0, 1, 1], [0], [np.nan], "finite"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    offsets: list[int], items: list[int], values: list[float], message: str
) -> None:
    with pytest.raises(InvalidModelError, match=message):
        ItemItemWeights(
            np.array(offsets, dtype=np.int32),
            np.array(items, dtype=np.int32),
            np.array(values, dtype=np.float32),
            slope=0.0,
        )


def test_item_item_weights_of_another_size_are_refused(model: Model) -> None:
    with pytest.raises(InvalidModelError, match="item-item weights of 3"):
        Model(
            model.info,
            model.item_ids,
            model.item_factors,
            model.catalogue,
            model.weights,
            item_item_weights=ItemItemWeights.empty(3),
        )


@pytest.mark.parametrize(
    "changes", [{"activity_exponent": -1.0}, {"mean_events": 0.0}, {"item_item_slope": float("nan")}]
)
def test_hyper_parameters_that_cannot_serve_are_refused(model: Model, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidModelError, match=next(iter(changes))):
        replace(model.info, **changes)
