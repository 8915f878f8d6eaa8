"""Both parts of a model, against what they are made of."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from dataflix_recommender import ModelInfo, recent_values
from dataflix_recommender.baselines import Ease
from dataflix_trainer.model import fit as fitting
from dataflix_trainer.model.als import fit_factors
from dataflix_trainer.model.fit import FittedModel
from dataflix_trainer.model.hyperparameters import Hyperparameters

PARAMETERS = Hyperparameters(factors=6, iterations=4, link_regularization=5.0)


def fit(
    matrix: csr_matrix, parameters: Hyperparameters, *, threads: int, times: np.ndarray | None = None
) -> FittedModel:
    """Fit on events whose times do not matter, unless they are given."""
    if times is None:
        times = np.zeros(matrix.nnz, dtype=np.int64)
    return fitting.fit(matrix, parameters, threads=threads, times=times)


@pytest.fixture(scope="module")
def matrix() -> csr_matrix:
    generator = np.random.default_rng(1)
    taken = generator.random((50, 30)) < 0.3
    taken[7] = False  # someone without events
    taken[:, 11] = False  # a item nobody has seen
    values = generator.choice([-1.5, 0.25, 1, 3], taken.shape)
    return csr_matrix(np.where(taken, values, 0).astype(np.float32))


def test_plain_als_is_the_library_alone(matrix: csr_matrix) -> None:
    plain = Hyperparameters.plain(factors=6, iterations=4)
    fitted = fit(matrix, plain, threads=1)
    expected = fit_factors(matrix, plain, regularization=plain.ridge(matrix), threads=1)
    np.testing.assert_array_equal(fitted.factors.items, expected.items)
    assert fitted.item_item_weights.matrix.nnz == 0


def test_active_users_count_less_as_serving_will_have_it(matrix: csr_matrix) -> None:
    fitted = fit(matrix, PARAMETERS, threads=1)
    info = fitted.to_model_info(
        ModelInfo(datetime.now(UTC), 6, 0.5, 2.0, 4, 1, 50, 30, matrix.nnz), PARAMETERS
    )
    counts = np.diff(matrix.indptr)
    assert info.mean_events == pytest.approx(matrix.nnz / 49)
    scales = np.array([info.activity_scale(int(count)) for count in counts])
    weighed = csr_matrix(matrix.toarray() * scales[:, None].astype(np.float32))
    expected = fit_factors(weighed, PARAMETERS, regularization=info.regularization, threads=1)
    np.testing.assert_allclose(fitted.factors.items, expected.items, atol=1e-5)


def test_only_the_most_liked_items_have_weights(matrix: csr_matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "MAX_ITEMS", 4)
    links = fit(matrix, PARAMETERS, threads=1).item_item_weights.matrix
    liked = np.asarray((matrix > 0).sum(axis=0)).ravel()
    linked = np.union1d(links.indices, np.flatnonzero(np.diff(links.indptr)))
    assert len(linked) == 4
    assert liked[linked].min() >= np.sort(liked)[-4]


def test_links_are_a_weighted_ease_of_what_was_liked(matrix: csr_matrix) -> None:
    fitted = fit(matrix, PARAMETERS, threads=1)
    dense = matrix.toarray()
    counts = np.maximum(np.diff(matrix.indptr), 1)
    values = np.where(dense > 0, np.maximum(0.1, 1 + PARAMETERS.link_slope * (dense - 1.5)), 0)
    share = (counts / (matrix.nnz / 49)) ** -PARAMETERS.link_activity_exponent
    gram = values.T @ (values * share[:, None]) + 5.0 * np.eye(30)
    inverse = np.linalg.inv(gram)
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    expected[:, 11] = expected[11] = 0
    np.testing.assert_allclose(
        fitted.item_item_weights.matrix.toarray(), PARAMETERS.link_weight * expected, atol=1e-5
    )
    twice = replace(PARAMETERS, link_weight=2 * PARAMETERS.link_weight)
    doubled = fit(matrix, twice, threads=1).item_item_weights.matrix
    np.testing.assert_allclose(doubled.toarray(), 2 * fitted.item_item_weights.matrix.toarray(), rtol=1e-5)


def test_only_the_strongest_weights_are_kept_and_refitted_without_the_others(
    matrix: csr_matrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat = replace(PARAMETERS, link_weight=1.0, link_slope=0.0, link_activity_exponent=0.0)
    whole = fit(matrix, flat, threads=1).item_item_weights.matrix.toarray()
    monkeypatch.setattr(fitting, "WEIGHTS_PER_ITEM", 4)
    monkeypatch.setattr(fitting, "BLOCK_COLUMNS", 7)
    few = fit(matrix, flat, threads=1).item_item_weights.matrix.toarray()
    liked = (matrix.toarray() > 0).astype(float)
    for column in range(30):
        kept = np.flatnonzero(few[:, column])
        assert len(kept) == (0 if column == 11 else 4)
        if len(kept):
            rest = np.abs(np.delete(whole[:, column], kept))
            assert np.abs(whole[kept, column]).min() >= rest.max()
            x = liked[:, kept]
            ridge = np.linalg.solve(x.T @ x + 5.0 * np.eye(4), x.T @ liked[:, column])
            np.testing.assert_allclose(few[kept, column], ridge, atol=1e-5)


def test_the_baseline_is_left_as_its_paper_has_it(matrix: csr_matrix) -> None:
    binary = csr_matrix((matrix.toarray() != 0).astype(np.float32))
    np.testing.assert_allclose(
        Ease.fit(matrix, regularization=5).weights,
        Ease.fit_weighted(binary, regularization=5)[0].weights,
    )


def test_items_with_few_likes_have_factors_alone(matrix: csr_matrix) -> None:
    dense = matrix.toarray()
    dense[:, 5] = 0
    dense[:2, 5] = 1  # liked twice
    dense[2:20, 5] = -1
    links = fit(csr_matrix(dense), PARAMETERS, threads=1).item_item_weights.matrix.toarray()
    assert not links[:, 5].any()
    assert not links[5].any()
    assert links[:, 6].any()
    few = csr_matrix(np.eye(4, dtype=np.float32))
    assert fit(few, PARAMETERS, threads=1).item_item_weights.matrix.nnz == 0
    one = csr_matrix(np.ones((4, 1), dtype=np.float32))  # and nothing to be linked to
    assert fit(one, PARAMETERS, threads=1).item_item_weights.matrix.nnz == 0


@pytest.mark.parametrize(("users", "items"), [(80, 20), (15, 40)])
def test_dropout_is_a_ridge_that_grows_with_popularity(users: int, items: int) -> None:
    dense = (np.random.default_rng(3).random((users, items)) < 0.3).astype(np.float32)
    dense[:2] = 1  # every item has events
    ease, system = Ease.fit_weighted(csr_matrix(dense), regularization=7.0, dropout=0.4)
    gram = dense.T.astype(np.float64) @ dense
    expected = gram + np.diag(7.0 + 0.4 / 0.6 * np.diag(gram))
    np.testing.assert_allclose(system, expected, rtol=1e-6)
    inverse = np.linalg.inv(expected)
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    np.testing.assert_allclose(ease.weights, weights, rtol=1e-4, atol=1e-6)


def test_links_have_the_dropout_that_was_asked_for(matrix: csr_matrix) -> None:
    weights = [
        fit(matrix, replace(PARAMETERS, link_dropout=dropout), threads=1).item_item_weights.matrix.toarray()
        for dropout in (0.0, 0.5)
    ]
    assert np.abs(weights[1]).sum() < np.abs(weights[0]).sum()


def test_recent_popularity_is_of_likes_and_nothing_without_a_weight(matrix: csr_matrix) -> None:
    times = np.arange(matrix.nnz, dtype=np.int64) * 3_600_000_000
    assert not fit(matrix, PARAMETERS, threads=1, times=times).recent_popularity.values.any()
    asked = replace(PARAMETERS, recent_weight=0.2, returning_weight=0.1, recent_half_life_days=3.0)
    recent = fit(matrix, asked, threads=1, times=times).recent_popularity
    liked = matrix.data > 0
    expected = recent_values(matrix.indices[liked], times[liked], matrix.shape[1], half_life_days=3.0)
    np.testing.assert_array_equal(recent.values, expected)
    assert (recent.weight, recent.returning_weight, recent.until) == (0.2, 0.1, times.max())
