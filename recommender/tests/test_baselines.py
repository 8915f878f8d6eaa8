"""The baselines, compared with their definitions, and with blocks of different sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from dataflix_recommender import InvalidModelError
from dataflix_recommender.baselines import Ease, ItemKNN, ease, event_matrix, item_knn, popular, recent
from dataflix_recommender.baselines.popular import MICROSECONDS_PER_DAY


@st.composite
def events(draw: st.DrawFn) -> csr_matrix:
    """A matrix of weights. Some are negative, which are events, too."""
    users, items = draw(st.integers(2, 9)), draw(st.integers(2, 9))
    taken = draw(st.lists(st.booleans(), min_size=users * items, max_size=users * items).filter(any))
    weights = np.random.default_rng(users).choice([-1.0, 0.5, 3.0], (users, items))
    return csr_matrix(np.where(np.reshape(taken, (users, items)), weights, 0).astype(np.float32))


@given(events(), st.floats(0.5, 50))
def test_ease_minimises_the_loss_of_the_paper(matrix: csr_matrix, regularization: float) -> None:
    x = (matrix.toarray() != 0).astype(float)
    model = Ease.fit(matrix, regularization=regularization)
    np.testing.assert_array_equal(model.items, np.flatnonzero(x.any(axis=0)))
    x = x[:, model.items]
    weights = model.weights.astype(float)
    assert not weights.diagonal().any()
    # At the minimum of |X - XB|^2 + regularization |B|^2 the gradient is zero off the diagonal.
    gradient = x.T @ (x @ weights - x) + regularization * weights
    np.testing.assert_allclose(gradient - np.diag(gradient.diagonal()), 0, atol=1e-3)


@pytest.mark.parametrize("block", [1, 3, 7, 100])
def test_results_do_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    generator = np.random.default_rng(4)
    matrix = csr_matrix((generator.random((60, 20)) < 0.3).astype(np.float32))
    weights = Ease.fit(matrix, regularization=3).weights
    assert matrix.shape[0] > matrix.shape[1]  # with fewer users EASE uses no blocks
    knn = ItemKNN.fit(matrix, neighbours=5, shrinkage=2).weights.toarray()
    for module in (event_matrix, ease, item_knn):
        monkeypatch.setattr(module, "BLOCK", block)
    np.testing.assert_allclose(Ease.fit(matrix, regularization=3).weights, weights, atol=1e-6)
    np.testing.assert_array_equal(ItemKNN.fit(matrix, neighbours=5, shrinkage=2).weights.toarray(), knn)


@pytest.mark.parametrize("gain", [0.01, 3, 100])
def test_sparse_and_dense_products_give_one_gram_matrix(monkeypatch: pytest.MonkeyPatch, gain: float) -> None:
    monkeypatch.setattr(event_matrix, "DENSE_GAIN", gain)  # all sparse, some of each, all dense
    monkeypatch.setattr(event_matrix, "BLOCK", 8)
    generator = np.random.default_rng(6)
    x = generator.normal(size=(50, 20)) * (generator.random((50, 20)) < generator.random((50, 1)))
    gram = event_matrix.gram_of(csr_matrix(x.astype(np.float32)), np.float64, threads=2)
    np.testing.assert_allclose(gram, x.T @ x, atol=1e-4)


def test_single_precision_ranks_as_double_does(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(5)
    matrix = csr_matrix((generator.random((400, 60)) < 0.2).astype(np.float32))
    double = Ease.fit(matrix, regularization=10)
    monkeypatch.setattr(ease, "MAX_ITEMS_DOUBLE", 0)
    single = Ease.fit(matrix, regularization=10)
    np.testing.assert_allclose(single.weights, double.weights, atol=1e-4)


def test_few_and_many_users_give_the_same_weights() -> None:
    # With fewer users than items, another system is solved. Users without events change nothing else.
    rows = (np.random.default_rng(6).random((20, 30)) < 0.3).astype(np.float32)
    many = np.vstack([rows, np.zeros((20, 30), dtype=np.float32)])
    few, tall = (Ease.fit(csr_matrix(matrix), regularization=4).weights for matrix in (rows, many))
    np.testing.assert_allclose(few, tall, atol=1e-5)


def test_the_least_popular_items_are_left_out_and_ranked_last() -> None:
    matrix = csr_matrix(np.array([[1, 1, 0, 1], [1, 1, 0, 0], [1, 0, 1, 1], [0, 0, 0, 1]], dtype=np.float32))
    model = Ease.fit(matrix, regularization=1, max_items=2)
    assert model.items.tolist() == [0, 3]
    scores = model.scores(matrix)
    assert scores.shape == matrix.shape
    assert (scores[:, [1, 2]].max(axis=1) < scores[:, [0, 3]].min(axis=1)).all()


def test_ease_refuses_a_matrix_without_inverse() -> None:
    for regularization in (0.0, -1.0, float("nan")):
        with pytest.raises(InvalidModelError, match="above 0"):
            Ease.fit(csr_matrix(np.eye(3, dtype=np.float32)), regularization=regularization)
    with pytest.raises(InvalidModelError, match="at least one event"):
        Ease.fit(csr_matrix((2, 3), dtype=np.float32), regularization=1)


@given(events(), st.integers(1, 9), st.sampled_from([0.0, 3.0]))
@settings(max_examples=50)
def test_item_knn_sums_the_cosines_of_the_nearest(
    matrix: csr_matrix, neighbours: int, shrinkage: float
) -> None:
    x = (matrix.toarray() != 0).astype(float)
    norms = np.sqrt(x.sum(axis=0))
    with np.errstate(invalid="ignore"):
        similarity = np.nan_to_num((x.T @ x) / (np.outer(norms, norms) + shrinkage))
    np.fill_diagonal(similarity, 0)
    model = ItemKNN.fit(matrix, neighbours=neighbours, shrinkage=shrinkage)
    found = model.weights.toarray()
    for item in range(x.shape[1]):
        kept = found[:, item]
        assert np.count_nonzero(kept) <= neighbours
        # Any of equal ones may be kept, so only the values must agree.
        highest = np.sort(similarity[:, item])[::-1][:neighbours]
        np.testing.assert_allclose(np.sort(kept)[::-1][:neighbours], highest, atol=1e-6)
    np.testing.assert_allclose(model.scores(matrix), x @ found, atol=1e-5)


def test_popular_counts_events_and_recent_discounts_old_ones() -> None:
    matrix = csr_matrix(np.array([[2, -1, 0], [1, 0, 0], [0, 0, 3]], dtype=np.float32))
    assert popular(matrix).scores(matrix).tolist() == [[2, 1, 1]] * 3
    # In the order of the stored entries. The latest is the present.
    days = np.array([0, 10, 20, 30], dtype=np.int64)
    scores = recent(matrix, days * MICROSECONDS_PER_DAY, half_life_days=10).scores(matrix)
    np.testing.assert_allclose(scores[0], [1 / 8 + 1 / 2, 1 / 4, 1])


@given(events())
def test_baselines_ignore_the_weight_of_an_event(matrix: csr_matrix) -> None:
    other = matrix.copy()
    other.data = np.ones_like(other.data)
    for fit in (
        lambda m: Ease.fit(m, regularization=2),
        lambda m: ItemKNN.fit(m, neighbours=3, shrinkage=1),
        popular,
    ):
        np.testing.assert_array_equal(fit(matrix).scores(matrix), fit(other).scores(other))
