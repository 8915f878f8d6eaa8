"""Evaluation: the code that serves, on a holdout; and models older than the data."""

from datetime import UTC, datetime

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from dataflix_recommender import ConfidenceWeights, History, Item, ItemCatalogue, Model, ModelInfo
from dataflix_trainer.data.holdout import Holdout
from dataflix_trainer.evaluation.holdout_evaluation import evaluate_model, evaluate_popularity

ITEMS = np.array([10, 20, 30, 40, 50, 60, 70, 80], dtype=np.int64)


def model_of(ids: np.ndarray, factors: np.ndarray, weights: ConfidenceWeights) -> Model:
    info = ModelInfo(datetime.now(UTC), factors.shape[1], 0.5, 1.0, 1, 1, 1, len(ids), 1)
    catalogue = ItemCatalogue.from_items([Item(int(i), f"Movie {i}") for i in ids])
    return Model(info, ids, factors.astype(np.float32), catalogue, weights)


@pytest.fixture
def holdout() -> Holdout:
    train = np.zeros((4, 8), dtype=np.float32)
    train[0, [0, 1]] = 1
    train[1, [0, 2]] = [2, -1]
    train[2, [0, 1, 3]] = 1
    train[3, [0, 1, 3, 4]] = 1
    targets = np.zeros((3, 8), dtype=np.float32)
    targets[0, [3, 4]] = 1
    targets[1, [1]] = 3
    targets[2, [4]] = 1
    users = np.array([0, 1, 2])
    learnt = csr_matrix(train)
    return Holdout(learnt, users, learnt[users], csr_matrix(targets), ITEMS, no_times(learnt))


def no_times(train: csr_matrix) -> np.ndarray:
    return np.zeros(train.nnz, dtype=np.int64)


def test_metrics_are_those_of_the_lists_that_serving_gives(
    holdout: Holdout, weights: ConfidenceWeights
) -> None:
    model = model_of(ITEMS, np.random.default_rng(4).normal(size=(8, 3)), weights)
    evaluation = evaluate_model(model, holdout)
    for row in range(3):
        known = holdout.known[row]
        found = model.recommend(History(ITEMS[known.indices], known.data), 10)
        wanted = set(ITEMS[holdout.targets[row].indices].tolist())
        gains = [1 / np.log2(item.rank + 1) for item in found if item.item_id in wanted]
        ideal = sum(1 / np.log2(rank + 1) for rank in range(1, len(wanted) + 1))
        assert evaluation.per_user["ndcg@10"][row] == pytest.approx(sum(gains) / ideal)
        assert evaluation.per_user["recall@10"][row] == 1  # ten positions for six items


def test_popularity_counts_likes_and_leaves_out_what_is_seen(holdout: Holdout) -> None:
    evaluation = evaluate_popularity(holdout)
    # Likes per item: 4, 3, 0 (a dislike), 2, 1, 0, 0, 0. User 1 has not seen the item with 3.
    assert evaluation.per_user["mrr@10"][1] == 1
    # User 2 has seen the first three in that order; the next is the target.
    assert evaluation.per_user["ndcg@10"][2] == 1
    assert evaluation.users == 3


def test_a_model_older_than_the_data_is_ranked_by_what_it_knows(
    holdout: Holdout, weights: ConfidenceWeights
) -> None:
    factors = np.random.default_rng(4).normal(size=(8, 3))
    # It knows a item that is gone (25), and not the newest two; without them the order is the same.
    old_ids = np.array([10, 20, 25, 30, 40, 50, 60], dtype=np.int64)
    old = model_of(old_ids, np.insert(factors[:6], 2, 0.0, axis=0), weights)
    learnt = holdout.train[:, :6]
    known_only = Holdout(
        learnt, holdout.users, holdout.known[:, :6], holdout.targets[:, :6], ITEMS[:6], no_times(learnt)
    )
    expected = evaluate_model(model_of(ITEMS[:6], factors[:6], weights), known_only)
    found = evaluate_model(old, holdout)
    # The item that is gone takes a place in the lists but is no hit.
    assert np.all(found.per_user["ndcg@10"] <= expected.per_user["ndcg@10"] + 1e-9)
    np.testing.assert_array_equal(found.per_user["recall@10"], expected.per_user["recall@10"])


def test_nobody_to_evaluate_gives_no_figures(weights: ConfidenceWeights) -> None:
    empty = csr_matrix((0, 8), dtype=np.float32)
    nothing = np.array([], dtype=np.int64)
    nobody = Holdout(csr_matrix((4, 8), dtype=np.float32), nothing, empty, empty, ITEMS, nothing)
    evaluation = evaluate_model(model_of(ITEMS, np.ones((8, 2)), weights), nobody)
    assert evaluation.means() == {}
    assert evaluation.users == 0
