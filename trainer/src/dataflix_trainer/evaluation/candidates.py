"""The models of a benchmark: what each learns from, its defaults, and what of it can be tuned.

Every one learns from the same events of ``Part.train``; the defaults are those of the paper or, for ours, of
the product.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from scipy.sparse import csr_matrix

from dataflix_recommender import BatchRanker, ConfidenceWeights, Item, ItemCatalogue, Model, ModelInfo
from dataflix_recommender.baselines import Ease, ItemKNN, Scorer, popular, recent
from dataflix_trainer.evaluation.protocols import Part
from dataflix_trainer.model.als import Hyperparameters
from dataflix_trainer.model.fit import fit
from dataflix_trainer.model.search_space import (
    ALS_GUESSES,
    ALS_SPACE,
    GUESSES,
    SPACE,
    als_defaults,
    defaults,
)

Params = Mapping[str, Any]
Space = Mapping[str, BaseDistribution]


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a fit is given besides its parameters: equal for all models."""

    seed: int
    threads: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """One kind of model; ``space`` is empty if nothing can be tuned, ``guesses`` change the defaults."""

    name: str
    fit: Callable[[Part, Params, Conditions], Scorer]
    defaults: Params = field(default_factory=dict)
    space: Space = field(default_factory=dict)
    guesses: Sequence[Params] = ()


@dataclass(frozen=True, slots=True)
class Served:
    """A model of the product, scored by the code that serves."""

    model: Model

    def scores(self, known: csr_matrix) -> NDArray[np.float32]:
        """Return float32[U, I] for the rows of ``known`` [U, I]."""
        return BatchRanker(self.model).scores(known)


def _popular(part: Part, params: Params, conditions: Conditions) -> Scorer:
    return popular(part.train)


def _recent(part: Part, params: Params, conditions: Conditions) -> Scorer:
    return recent(part.train, part.times, half_life_days=params["half_life_days"])


def _item_knn(part: Part, params: Params, conditions: Conditions) -> Scorer:
    return ItemKNN.fit(part.train, neighbours=params["neighbours"], shrinkage=params["shrinkage"])


def _ease(part: Part, params: Params, conditions: Conditions) -> Scorer:
    return Ease.fit(part.train, regularization=params["regularization"])


def _als(part: Part, params: Params, conditions: Conditions) -> Scorer:
    return served(part.train, Hyperparameters.plain(**params, seed=conditions.seed), conditions)


def _dataflix(part: Part, params: Params, conditions: Conditions) -> Scorer:
    return served(part.train, Hyperparameters(**params, seed=conditions.seed), conditions)


def served(train: csr_matrix, parameters: Hyperparameters, conditions: Conditions) -> Served:
    """Fit a model of the product on ``train`` [U, I], of films that nothing is known of; raises DataError.

    Someone without likes gets the most popular films.
    """
    fitted = fit(train, parameters, threads=conditions.threads)
    users, items = train.shape
    counts = np.bincount(train.indices, minlength=items)
    catalogue = ItemCatalogue.from_items(
        Item(i, "", ratings_count=int(count), bayesian_mean=float(count)) for i, count in enumerate(counts)
    )
    info = ModelInfo(
        trained_at=datetime.now(UTC),
        factors=parameters.factors,
        regularization=fitted.regularization,
        alpha=parameters.alpha,
        iterations=parameters.iterations,
        seed=parameters.seed,
        n_users=users,
        n_items=items,
        n_interactions=int(train.nnz),
    )
    return Served(
        Model(
            fitted.told(info, parameters),
            np.arange(items, dtype=np.int64),
            fitted.factors.items,
            catalogue,
            ConfidenceWeights.default(),
            item_item_weights=fitted.links,
        )
    )


CANDIDATES = (
    Candidate("als", _als, als_defaults(), ALS_SPACE, ALS_GUESSES),
    Candidate("dataflix", _dataflix, defaults(), SPACE, GUESSES),
    Candidate(
        "ease",
        _ease,
        # What the paper found best for MovieLens-20M, and what most libraries start from.
        {"regularization": 500.0},
        {"regularization": FloatDistribution(10, 5000, log=True)},
        # As ours: some good places first, so that a short budget does not leave it at its default.
        ({"regularization": 200.0}, {"regularization": 100.0}, {"regularization": 1000.0}),
    ),
    Candidate(
        "itemknn",
        _item_knn,
        {"neighbours": 100, "shrinkage": 10.0},
        {
            "neighbours": IntDistribution(5, 800, log=True),
            "shrinkage": FloatDistribution(0.1, 1000, log=True),
        },
    ),
    Candidate("popular", _popular),
    Candidate(
        "recent",
        _recent,
        {"half_life_days": 90.0},
        {"half_life_days": FloatDistribution(1, 3650, log=True)},
    ),
)
