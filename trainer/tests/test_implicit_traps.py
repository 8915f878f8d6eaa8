"""The traps of ``implicit`` that fitting could fall into; the others are in the recommender's tests."""

import inspect
from datetime import UTC, datetime
from pathlib import Path

import implicit.als
import numpy as np
import pytest
from scipy.sparse import csr_array

from dataflix_recommender import ConfidenceWeights, History, Item, ItemCatalogue, Model, ModelInfo
from dataflix_trainer.model import als
from dataflix_trainer.model.hyperparameters import Hyperparameters

from .test_als import fit, some_matrix


def saved_and_loaded(factors: np.ndarray, seed: int, path: Path) -> Model:
    items, width = factors.shape
    info = ModelInfo(
        trained_at=datetime(2026, 1, 1, tzinfo=UTC),
        factors=width,
        regularization=1.0,
        alpha=2.0,
        iterations=4,
        seed=seed,
        n_users=40,
        n_items=items,
        n_interactions=240,
    )
    catalogue = ItemCatalogue.from_items([Item(i + 1, f"Movie {i}") for i in range(items)])
    weights = ConfidenceWeights.from_rows([(0.0, "unknown", 1.0)])
    Model(info, np.arange(1, items + 1), factors, catalogue, weights).save(path)
    return Model.load(path)


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1])
def test_a_model_fitted_with_any_seed_can_be_saved_and_loaded(seed: int, tmp_path: Path) -> None:
    """The library takes no RandomState, and what it fits with a Generator it cannot load."""
    factors = fit(some_matrix(), Hyperparameters(factors=6, iterations=4, seed=seed))
    loaded = saved_and_loaded(factors, seed, tmp_path / "model")
    assert loaded.item_factors.tobytes() == factors.tobytes()
    assert loaded.info.seed == seed
    assert len(loaded.recommend(History([1], [1.0]), 5)) == 5


def test_what_fits_is_the_class_and_not_the_factory_of_that_name() -> None:
    assert inspect.isclass(vars(als)["AlternatingLeastSquares"])
    assert not inspect.isclass(implicit.als.AlternatingLeastSquares)


def test_both_kinds_of_sparse_matrices_are_fitted_alike() -> None:
    matrix = some_matrix()
    assert fit(csr_array(matrix)).tobytes() == fit(matrix).tobytes()


def test_fitting_again_on_any_other_matrix_is_as_if_it_were_the_first() -> None:
    alone = fit(some_matrix(20, 15))
    for users, items in ((60, 50), (5, 4), (20, 15)):
        again = fit(some_matrix(users, items))
        assert np.isfinite(again).all()
    assert again.tobytes() == alone.tobytes()
