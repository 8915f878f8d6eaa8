"""One training is one set of bytes: same data, seed and threads."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from dataflix_recommender import ConfidenceWeights, Item, ItemCatalogue
from dataflix_trainer.data.holdout import HOLDOUT_SEED, latest_events
from dataflix_trainer.data.interactions import Interactions
from dataflix_trainer.data.training_data import TrainingData
from dataflix_trainer.model.fit import fit
from dataflix_trainer.model.hyperparameters import Hyperparameters
from dataflix_trainer.model.product_model import fit_product_model
from dataflix_trainer.training import TrainingProvenance, fit_and_evaluate


@pytest.fixture(scope="module")
def data(weights: ConfidenceWeights) -> TrainingData:
    generator = np.random.default_rng(1)
    taken = generator.random((300, 200)) < 0.2
    values = generator.choice([-1.5, 0.25, 1, 2.5], taken.shape)
    matrix = csr_matrix(np.where(taken, values, 0).astype(np.float32))
    times = generator.integers(0, 10**9, matrix.nnz)
    catalogue = ItemCatalogue.from_items([Item(i, f"Movie {i}") for i in range(200)])
    return TrainingData(Interactions(np.arange(300), np.arange(200), matrix, times), catalogue, weights)


def arrays(data: TrainingData, folder: Path, threads: int, seed: int = 5) -> dict[str, bytes]:
    """Train, save both models, and return the bytes of every array file."""
    parameters = Hyperparameters(factors=24, iterations=6, seed=seed)
    trained = fit_and_evaluate(data, parameters, TrainingProvenance(), threads=threads)
    trained.model.save(folder / "model")
    trained.evaluated.save(folder / "evaluated")
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.glob("*/*.npy"))}


@pytest.mark.parametrize("threads", [1, 2])
def test_training_again_gives_the_same_bytes(data: TrainingData, tmp_path: Path, threads: int) -> None:
    first = arrays(data, tmp_path / "first", threads)
    again = arrays(data, tmp_path / "again", threads)
    assert first.keys() == again.keys()
    assert [name for name in first if first[name] != again[name]] == []
    other = arrays(data, tmp_path / "other", threads, seed=6)
    assert first["model/item_factors.npy"] != other["model/item_factors.npy"]


@pytest.mark.parametrize(("asked", "evaluated"), [(15, 12), (6, 3), (4, 3), (2, 2)])
def test_what_serves_has_had_the_iterations_asked_for(data: TrainingData, asked: int, evaluated: int) -> None:
    parameters = Hyperparameters(factors=8, iterations=asked, link_weight=0.0)
    trained = fit_and_evaluate(data, parameters, TrainingProvenance(), threads=1)
    assert trained.model.info.iterations == asked
    assert trained.evaluated.info.iterations == trained.params["iterations_evaluated"] == evaluated
    holdout = latest_events(data.interactions, seed=HOLDOUT_SEED)
    train = holdout.train
    cold = replace(parameters, iterations=evaluated)
    alone = fit_product_model(data, train, holdout.times, cold, threads=1)
    np.testing.assert_array_equal(trained.evaluated.item_factors, alone.item_factors)
    first = fit(train, cold, threads=1, times=holdout.times)
    interactions = data.interactions
    last = fit(interactions.matrix, parameters, threads=1, times=interactions.times, start=first.factors)
    np.testing.assert_array_equal(trained.model.item_factors, last.factors.items)


def test_metrics_are_the_same_too(data: TrainingData) -> None:
    parameters = Hyperparameters(factors=24, iterations=6)
    one, two = (fit_and_evaluate(data, parameters, TrainingProvenance(), threads=2) for _ in range(2))
    assert one.model.info.metrics == two.model.info.metrics != {}
