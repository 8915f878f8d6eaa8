"""Small models with known contents."""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from dataflix_recommender import ConfidenceWeights, Item, ItemCatalogue, Model, ModelInfo

ModelFactory = Callable[..., Model]


def build_model(
    factors: np.ndarray, *, regularization: float = 0.5, alpha: float = 2.0, items: list[Item] | None = None
) -> Model:
    """A model over the given item factors; item ``i`` has the id ``10 * (i + 1)``."""
    size, width = factors.shape
    if items is None:
        items = [
            Item(
                item_id=10 * (i + 1),
                title=f"Item {i}",
                genres=("Drama", "Crime")[: 1 + i % 2],
                release_year=1950 + i if i % 3 else None,
                ratings_count=i,
                mean_rating=3.0 + (i % 4) / 2 if i else None,
                bayesian_mean=3.0 + (i % 5) / 5,
                trending_score=float(i % 6),
            )
            for i in range(size)
        ]
    info = ModelInfo(
        trained_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        factors=width,
        regularization=regularization,
        alpha=alpha,
        iterations=3,
        seed=1,
        n_users=5,
        n_items=size,
        n_interactions=50,
        metrics={"ndcg@10": 0.25},
        dataset={"sha256": "ab"},
    )
    ids = np.array([item.item_id for item in items], dtype=np.int64)
    return Model(
        info, ids, factors.astype(np.float32), ItemCatalogue.from_items(items), ConfidenceWeights.default()
    )


@pytest.fixture(scope="session")
def make_model() -> ModelFactory:
    """Builds a model over given item factors."""
    return build_model


@pytest.fixture(scope="session")
def model() -> Model:
    """40 items, 6 factors."""
    return build_model(np.random.default_rng(5).normal(size=(40, 6)))


@pytest.fixture(scope="session")
def weights() -> ConfidenceWeights:
    """The weights as the warehouse defines them."""
    return ConfidenceWeights.default()
