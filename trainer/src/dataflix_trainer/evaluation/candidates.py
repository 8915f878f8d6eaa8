"""The models that are compared: what each is fitted on, its defaults, and what a search may change.

All are fitted on the same events, ``EvalSplit.train``. The defaults are those of the paper, or of the product
for its own model.
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
from dataflix_trainer.evaluation.options import Protocol
from dataflix_trainer.evaluation.protocols import EvalSplit
from dataflix_trainer.model.fit import fit
from dataflix_trainer.model.hyperparameters import Hyperparameters
from dataflix_trainer.model.search_space import (
    ALS_INITIAL_TRIALS,
    ALS_SPACE,
    INITIAL_TRIALS,
    SPACE,
    TIME_INITIAL_TRIALS,
    TIME_SPACE,
    als_defaults,
    defaults,
    time_defaults,
)

Params = Mapping[str, Any]
Space = Mapping[str, BaseDistribution]


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a fit needs besides its parameters; the same for all models."""

    seed: int
    threads: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """One kind of model.

    Attributes:
        name: as reports show it.
        fit: fits a model on ``train`` of a split.
        defaults: its parameters without tuning.
        space: what a search may change; empty if nothing can be tuned.
        initial_trials: changes to the defaults that a search tries first.
    """

    name: str
    fit: Callable[[EvalSplit, Params, Conditions], Scorer]
    defaults: Params = field(default_factory=dict)
    space: Space = field(default_factory=dict)
    initial_trials: Sequence[Params] = ()


@dataclass(frozen=True, slots=True)
class ProductScorer:
    """A model of the product, scored by the code that serves."""

    model: Model

    def scores(self, known: csr_matrix, last_at: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Return float32[U, I] for the rows of ``known`` [U, I], whose latest events were ``last_at``."""
        return BatchRanker(self.model).scores(known, last_at)


def _popular(split: EvalSplit, params: Params, conditions: Conditions) -> Scorer:
    return popular(split.train)


def _recent(split: EvalSplit, params: Params, conditions: Conditions) -> Scorer:
    return recent(split.train, split.times, half_life_days=params["half_life_days"])


def _item_knn(split: EvalSplit, params: Params, conditions: Conditions) -> Scorer:
    return ItemKNN.fit(split.train, neighbours=params["neighbours"], shrinkage=params["shrinkage"])


def _ease(split: EvalSplit, params: Params, conditions: Conditions) -> Scorer:
    return Ease.fit(split.train, regularization=params["regularization"])


def _als(split: EvalSplit, params: Params, conditions: Conditions) -> Scorer:
    return fit_product_model(split, Hyperparameters.plain(**params, seed=conditions.seed), conditions)


def _dataflix(split: EvalSplit, params: Params, conditions: Conditions) -> Scorer:
    return fit_product_model(split, Hyperparameters(**params, seed=conditions.seed), conditions)


def fit_product_model(split: EvalSplit, parameters: Hyperparameters, conditions: Conditions) -> ProductScorer:
    """Fit a model of the product on the training part of a split, for items without metadata.

    A user without likes gets the most popular items.

    Raises:
        DataError: no model can be fitted.
    """
    train = split.train
    fitted = fit(train, parameters, threads=conditions.threads, times=split.times)
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
    return ProductScorer(
        Model(
            fitted.to_model_info(info, parameters),
            np.arange(items, dtype=np.int64),
            fitted.factors.items,
            catalogue,
            ConfidenceWeights.default(),
            item_item_weights=fitted.item_item_weights,
            recent_popularity=fitted.recent_popularity,
        )
    )


def candidates_of(protocol: Protocol) -> tuple[Candidate, ...]:
    """Return the models to compare; ours has a part that only a split in time can measure."""
    if protocol is not Protocol.TEMPORAL:
        return CANDIDATES
    ours = Candidate("dataflix", _dataflix, time_defaults(), TIME_SPACE, TIME_INITIAL_TRIALS)
    return tuple(ours if candidate.name == ours.name else candidate for candidate in CANDIDATES)


CANDIDATES = (
    Candidate("als", _als, als_defaults(), ALS_SPACE, ALS_INITIAL_TRIALS),
    Candidate("dataflix", _dataflix, defaults(), SPACE, INITIAL_TRIALS),
    Candidate(
        "ease",
        _ease,
        # The best for MovieLens 20M in the paper, and the default of most libraries.
        {"regularization": 500.0},
        # On a split in time, the best may be forty times that of a random one.
        {"regularization": FloatDistribution(10, 50_000, log=True)},
        # Some good places first, as for the product's model, so that a short budget finds more.
        tuple({"regularization": ridge} for ridge in (200.0, 100.0, 1000.0, 3000.0, 10_000.0)),
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
        tuple({"half_life_days": days} for days in (3.0, 7.0, 30.0, 365.0)),
    ),
)
