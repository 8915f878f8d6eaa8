"""The fit: the same bits for the same input, and the library's traps kept inside."""

from dataclasses import replace

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix, random_array
from threadpoolctl import threadpool_info, threadpool_limits

from dataflix_trainer.errors import DataError
from dataflix_trainer.model import als as als_module
from dataflix_trainer.model import hyperparameters
from dataflix_trainer.model.als import Factors, fit_factors
from dataflix_trainer.model.hyperparameters import Hyperparameters

SMALL = Hyperparameters(factors=6, iterations=4, seed=11)


def some_matrix(users: int = 40, items: int = 30, seed: int = 1) -> csr_matrix:
    generator = np.random.default_rng(seed)
    matrix = csr_matrix(random_array((users, items), density=0.2, rng=generator, dtype=np.float32))
    matrix.data = generator.choice([-1.5, 0.25, 1, 3], matrix.nnz).astype(np.float32)
    matrix.sort_indices()
    return matrix


def fit(matrix: csr_matrix, parameters: Hyperparameters = SMALL, threads: int = 2) -> np.ndarray:
    return fit_factors(matrix, parameters, regularization=parameters.ridge(matrix), threads=threads).items


def test_the_same_data_seed_and_threads_give_the_same_bits() -> None:
    for threads in (1, 2):
        assert fit(some_matrix(), threads=threads).tobytes() == fit(some_matrix(), threads=threads).tobytes()
    assert fit(some_matrix(), replace(SMALL, seed=12)).tobytes() != fit(some_matrix()).tobytes()


def test_smaller_and_larger_matrices_can_be_fitted_one_after_the_other() -> None:
    # The library ends the process, or gives NaN, when one of its objects is fitted twice.
    for users, items in ((40, 30), (10, 5), (80, 60), (3, 2)):
        factors = fit(some_matrix(users, items))
        assert factors.shape == (items, 6)
        assert np.isfinite(factors).all()


def test_items_without_events_have_no_factors_and_change_nothing() -> None:
    matrix = some_matrix()
    columns = np.sort(np.random.default_rng(2).permutation(50)[:30])
    wide = csr_matrix((matrix.data, columns[matrix.indices], matrix.indptr), shape=(40, 50))
    factors = fit(wide)
    np.testing.assert_array_equal(factors[columns], fit(matrix))
    assert not np.delete(factors, columns, axis=0).any()


def test_a_start_from_nearly_the_same_data_comes_to_the_same_fit_in_few_iterations() -> None:
    matrix = some_matrix()
    settled = replace(SMALL, iterations=60)
    ridge = settled.ridge(matrix)
    fewer = matrix.copy()
    fewer.data[fewer.indices == 3] = 0  # a item that the first fit has not seen
    fewer.data[: fewer.indptr[1]] = 0  # and somebody
    fewer.data[::50] = 0
    fewer.eliminate_zeros()
    first = fit_factors(fewer, settled, regularization=ridge, threads=1)
    assert not first.items[3].any()
    assert not first.users[0].any()
    before = first.items.copy()
    warm = fit_factors(matrix, settled, regularization=ridge, threads=1, start=first)
    np.testing.assert_array_equal(first.items, before)
    cold = fit_factors(
        matrix, replace(settled, iterations=hyperparameters.WARM_ITERATIONS), regularization=ridge, threads=1
    )
    whole = fit_factors(matrix, settled, regularization=ridge, threads=1)
    away = {
        name: loss(matrix, one, ridge) - loss(matrix, whole, ridge)
        for name, one in {"warm": warm, "cold": cold}.items()
    }
    assert away["warm"] < away["cold"] / 2
    assert warm.items[3].any()
    assert warm.users[0].any()


def loss(matrix: csr_matrix, factors: Factors, ridge: float) -> float:
    """Return what ALS minimises; a negative weight is a confident no (Hu, Koren and Volinsky, 2008)."""
    weights = SMALL.alpha * matrix.toarray().astype(float)
    confidences = np.where(weights == 0, 1, np.abs(weights))
    users, items = factors.users.astype(float), factors.items.astype(float)
    squares = confidences * ((weights > 0) - users @ items.T) ** 2
    return float(squares.sum() + ridge * ((users**2).sum() + (items**2).sum()))


def test_users_without_events_change_nothing() -> None:
    matrix = some_matrix()
    taller = csr_matrix((matrix.data, matrix.indices, np.append(matrix.indptr, matrix.indptr[-1])), (41, 30))
    np.testing.assert_array_equal(fit(taller), fit(matrix))


def test_blas_has_one_thread_while_the_library_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    class Watched(AlternatingLeastSquares):  # type: ignore[misc]
        def fit(self, *args: object, **kwargs: object) -> None:
            seen.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
            super().fit(*args, **kwargs)

    monkeypatch.setattr(als_module, "AlternatingLeastSquares", Watched)
    with threadpool_limits(2, "blas"):
        fit(some_matrix())
    assert set(seen) == {1}


def test_a_fit_that_is_not_finite_is_refused() -> None:
    matrix = some_matrix()
    matrix.data[:] = 3e38
    with pytest.raises(DataError, match="raise the regularization"):
        fit_factors(matrix, SMALL, regularization=1e-30, threads=1)


def test_dislikes_alone_are_nothing_to_learn_from() -> None:
    matrix = some_matrix()
    matrix.data = -np.abs(matrix.data)
    with pytest.raises(DataError, match="nothing to learn from"):
        fit(matrix)


def test_the_default_ridge_grows_with_events_per_user_and_item() -> None:
    matrix = csr_matrix(np.ones((50, 20), dtype=np.float32))
    expected = (
        hyperparameters.DEFAULT_REGULARIZATION_SCALE
        * hyperparameters.DEFAULT_ALPHA
        * (np.sqrt(20) + np.sqrt(50))
    )
    assert Hyperparameters().ridge(matrix) == pytest.approx(expected)
    assert Hyperparameters(regularization=0.3).ridge(matrix) == 0.3
