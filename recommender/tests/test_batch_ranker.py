"""Many users at once: each gets the list of ``Model.recommend``, and its scores to five digits."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, random_array, vstack

from dataflix_recommender import (
    NO_ITEM,
    BatchFoldIn,
    BatchRanker,
    History,
    InvalidHistoryError,
    ItemItemWeights,
    Model,
    ModelInfo,
    RecentPopularity,
    batch_ranker,
)
from dataflix_recommender.data.recent_popularity import MICROSECONDS_PER_DAY

ModelFactory = Callable[..., Model]
ITEMS, N = 400, 10
WEIGHTS = np.array([-2.5, -0.5, 0.25, 0.5, 1.0, 2.5, 4.0], dtype=np.float32)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Split a few hundred items into a head and several blocks, and a few users into several blocks."""
    monkeypatch.setattr(batch_ranker, "MIN_HEAD_ITEMS", 100)
    monkeypatch.setattr(batch_ranker, "TAIL_BLOCK_ITEMS", 32)
    monkeypatch.setattr(batch_ranker, "SCORES_PER_BLOCK", 30 * ITEMS)


@pytest.fixture(scope="module")
def plain(make_model: ModelFactory) -> Model:
    """Items with factors of falling lengths in random order, and 40 without factors: their scores are 0."""
    generator = np.random.default_rng(3)
    lengths = np.arange(1, ITEMS + 1) ** -0.7
    lengths[-40:] = 0
    factors = generator.normal(size=(ITEMS, 12)) * generator.permutation(lengths)[:, None]
    return make_model(factors, regularization=3.0)


@pytest.fixture(scope="module")
def item_item(plain: Model) -> Model:
    generator = np.random.default_rng(4)
    some = csr_matrix(random_array((ITEMS, 80), density=0.2, rng=generator, dtype=np.float32))
    # Weights for some of the items only, with long and short factors.
    places = np.sort(generator.choice(ITEMS, 80, replace=False))[some.indices]
    values = (some.data - 0.3) * np.float32(0.1)
    matrix = csr_matrix((values, places, some.indptr), shape=(ITEMS, ITEMS))
    info = replace(plain.info, activity_exponent=0.5, mean_events=20.0, item_item_slope=0.2)
    return with_item_item(plain, ItemItemWeights.from_matrix(matrix, slope=0.2), info=info)


@pytest.fixture(scope="module")
def recent(item_item: Model) -> Model:
    """Recent popularity for items with long and short factors, with and without item-item weights."""
    values = np.random.default_rng(5).beta(0.3, 2.0, ITEMS).astype(np.float32)
    return Model(
        item_item.info,
        item_item.item_ids,
        item_item.item_factors,
        item_item.catalogue,
        item_item.weights,
        item_item_weights=item_item.item_item_weights,
        recent_popularity=RecentPopularity(values, 0.05, 0.1, until=100 * MICROSECONDS_PER_DAY),
    )


def with_item_item(model: Model, weights: ItemItemWeights, *, info: ModelInfo | None = None) -> Model:
    return Model(
        info or model.info,
        model.item_ids,
        model.item_factors,
        model.catalogue,
        model.weights,
        item_item_weights=weights,
    )


def fold_in_of(model: Model) -> BatchFoldIn:
    return BatchFoldIn(model.item_factors, model.gram, model.info)


def user_rows(number: int = 150, seed: int = 5) -> csr_matrix:
    """Users with 0 to nearly all items, among them one with dislikes only."""
    generator = np.random.default_rng(seed)
    activity = generator.pareto(1.0, number) * 0.03
    activity[:3] = [0.0, 0.99, 1.0]
    taken = generator.random((number, ITEMS)) < activity[:, None]
    rows = np.where(taken, generator.choice(WEIGHTS, taken.shape), 0).astype(np.float32)
    rows[3] = -np.abs(rows[3])
    return csr_matrix(rows)


def absences(number: int = 150) -> NDArray[np.int64]:
    """Latest events from half a year before to a month after the last one that the model knows."""
    days = np.random.default_rng(6).integers(-80, 130, number)
    return np.asarray(days * MICROSECONDS_PER_DAY, dtype=np.int64)


def history(model: Model, rows: csr_matrix, user: int, last_at: int | None = None) -> History:
    events = slice(rows.indptr[user], rows.indptr[user + 1])
    return History(model.item_ids[rows.indices[events]], rows.data[events], last_at=last_at)


@pytest.mark.parametrize("kind", ["plain", "item_item", "recent"])
def test_each_user_gets_the_list_and_the_scores_of_a_single_user(
    kind: str, request: pytest.FixtureRequest
) -> None:
    model: Model = request.getfixturevalue(kind)
    rows = user_rows()
    last_at = absences()
    ranker = BatchRanker(model)
    ranked, scores = ranker.recommend(rows, N, last_at)
    all_scores = ranker.scores(rows, last_at)
    for user in range(rows.shape[0]):
        alone = model.recommend(history(model, rows, user, int(last_at[user])), N, explain=False)
        listed = ranked[user] != NO_ITEM
        assert model.item_ids[ranked[user, listed]].tolist() == [item.item_id for item in alone]
        expected = np.array([item.score for item in alone])
        bound = 1e-5 * np.abs(expected).max(initial=0)
        np.testing.assert_allclose(scores[user, listed], expected, rtol=1e-5, atol=bound)
        assert not scores[user, ~listed].any()
        np.testing.assert_allclose(all_scores[user, ranked[user, listed]], expected, rtol=1e-5, atol=bound)


@pytest.mark.parametrize("kind", ["plain", "item_item", "recent"])
def test_pruned_items_would_not_be_in_the_list(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Model = request.getfixturevalue(kind)
    rows = user_rows(seed=6)
    ranked, scores = BatchRanker(model).recommend(rows, N, absences())
    monkeypatch.setattr(batch_ranker, "MIN_HEAD_ITEMS", ITEMS)
    unpruned, unpruned_scores = BatchRanker(model).recommend(rows, N, absences())
    np.testing.assert_array_equal(ranked, unpruned)
    np.testing.assert_allclose(scores, unpruned_scores, rtol=1e-5, atol=1e-6)


def test_items_out_of_reach_are_not_multiplied(plain: Model) -> None:
    rows = user_rows()[4:]
    ranker = BatchRanker(plain)
    expected, _ = ranker.recommend(rows, N)
    few = np.flatnonzero(np.diff(rows.indptr) < 50)
    # A product with these would change the list.
    ranker._factors[-100:] = np.nan
    np.testing.assert_array_equal(ranker.recommend(rows[few], N)[0], expected[few])


def test_a_large_item_item_weight_lifts_an_item_with_the_shortest_factors(plain: Model) -> None:
    lengths = np.linalg.norm(plain.item_factors, axis=1)
    longest, shortest = int(lengths.argmax()), int(lengths.argmin())
    matrix = csr_matrix(([np.float32(50)], ([longest], [shortest])), shape=(ITEMS, ITEMS))
    rows = csr_matrix(([np.float32(2)], ([0], [longest])), shape=(1, ITEMS))
    ranked, _ = BatchRanker(with_item_item(plain, ItemItemWeights.from_matrix(matrix, slope=0.0))).recommend(
        rows, N
    )
    assert ranked[0, 0] == shortest


def test_equal_scores_are_in_the_order_of_the_catalogue(plain: Model) -> None:
    unseen_by_all = np.flatnonzero(~plain.item_factors.any(axis=1))
    rest = np.setdiff1d(np.arange(ITEMS), unseen_by_all)
    rows = csr_matrix((np.ones(len(rest), np.float32), (np.zeros(len(rest), int), rest)), shape=(1, ITEMS))
    ranked, _ = BatchRanker(plain).recommend(rows, N)
    assert ranked[0].tolist() == unseen_by_all[:N].tolist()


def test_factors_are_those_of_a_single_fold_in(item_item: Model) -> None:
    rows = user_rows()
    factors = fold_in_of(item_item).factors(rows)
    for user in range(rows.shape[0]):
        expected = item_item.fold_in(history(item_item, rows, user))
        np.testing.assert_allclose(factors[user], expected, atol=1e-5 * float(np.linalg.norm(expected)))


def test_large_confidences_are_solved_directly(plain: Model) -> None:
    # The system is so far from the identity that single precision would keep few digits.
    rows = user_rows()
    rows.data *= 1000
    factors = fold_in_of(plain).factors(rows)
    heavy = np.flatnonzero(np.diff(rows.indptr) > 100)
    assert len(heavy)
    for user in heavy:
        np.testing.assert_array_equal(factors[user], plain.fold_in(history(plain, rows, int(user))))


def test_nearly_equal_items_lose_no_digits(make_model: ModelFactory) -> None:
    # Almost no ridge: the Gram matrix of the items is as ill-conditioned as data can make it.
    generator = np.random.default_rng(0)
    model = make_model(1 + generator.normal(scale=1e-3, size=(ITEMS, 16)), regularization=0.01)
    rows = user_rows()
    scores = fold_in_of(model).factors(rows) @ model.item_factors.T
    wide = model.item_factors.astype(np.float64)
    for user in np.flatnonzero(rows.max(axis=1).toarray().ravel() > 0):
        events = slice(rows.indptr[user], rows.indptr[user + 1])
        confidences, y = 2.0 * rows.data[events], wide[rows.indices[events]]
        system = wide.T @ wide + 0.01 * np.eye(16) + (y.T * (np.abs(confidences) - 1)) @ y
        expected = wide @ np.linalg.solve(system, y.T @ np.maximum(confidences, 0))
        np.testing.assert_allclose(scores[user], expected, atol=1e-4)


def test_confidences_without_solution_are_refused(plain: Model) -> None:
    huge = csr_matrix((np.full(3, 1e20, np.float32), ([0, 0, 0], [1, 5, 7])), shape=(1, ITEMS))
    with pytest.raises(InvalidHistoryError, match="no solution"):
        plain.fold_in(history(plain, huge, 0))
    with pytest.raises(InvalidHistoryError, match="no solution"):
        BatchRanker(plain).recommend(csr_matrix(vstack([user_rows(20), huge])), N)


def test_no_users_get_no_lists(plain: Model) -> None:
    ranked, scores = BatchRanker(plain).recommend(csr_matrix((0, ITEMS), dtype=np.float32), N)
    assert ranked.shape == scores.shape == (0, N)
