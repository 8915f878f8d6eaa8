"""Models of any size, with random factors or fitted ones.

Random factors do where a cost does not depend on them. Lists by factors that fall with an item's popularity
need few of the items, so their cost is measured with fitted ones.
"""

import os
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from benchkit.postgres_data import GENRES
from benchkit.synthetic_ratings import Ratings
from benchkit.warehouse_data import weights_of
from dataflix_recommender import ConfidenceWeights, Item, ItemCatalogue, ItemItemWeights, Model, ModelInfo
from dataflix_trainer.data.interactions import Interactions
from dataflix_trainer.model.fit import WEIGHTS_PER_ITEM, fit
from dataflix_trainer.model.hyperparameters import Hyperparameters

# A training takes 15. The quality of these models does not matter.
FITTED_ITERATIONS = 3


def random_model(movies: int, factors: int, *, seed: int, item_item: bool = True) -> Model:
    """Return a model of movies 1 to ``movies`` with random factors and random item-item weights.

    Like a model of the trainer, it has WEIGHTS_PER_ITEM weights for each item, mostly from popular items.
    ``item_item`` False leaves them out.
    """
    rng = np.random.default_rng(seed)
    catalogue = [
        Item(
            item_id=movie,
            title=f"The Movie of {movie}",
            genres=(GENRES[movie % len(GENRES)],),
            release_year=1930 + movie % 95,
            duration_minutes=80 + movie % 60,
            ratings_count=1 + movies // movie,
            mean_rating=2.5 + movie % 5 / 2,
            bayesian_mean=3 + movie % 7 / 10,
            trending_score=float(movies - movie),
        )
        for movie in range(1, movies + 1)
    ]
    info = ModelInfo(
        trained_at=datetime.now(UTC),
        factors=factors,
        regularization=20.0,
        alpha=2.0,
        iterations=1,
        seed=seed,
        n_users=1,
        n_items=movies,
        n_interactions=1,
        activity_exponent=0.5,
        mean_events=144.0,
        item_item_slope=0.15,
    )
    return Model(
        info,
        np.arange(1, movies + 1, dtype=np.int64),
        rng.normal(0, factors**-0.5, (movies, factors)).astype(np.float32),
        ItemCatalogue.from_items(catalogue),
        ConfidenceWeights.default(),
        item_item_weights=_item_item_weights(movies, rng, info.item_item_slope) if item_item else None,
    )


def fit_model(
    ratings: Ratings, factors: int, *, seed: int, iterations: int = FITTED_ITERATIONS, scale: float = 1.0
) -> Model:
    """Return the trainer's fit of the ratings; ``scale`` multiplies the ridge."""
    parameters = Hyperparameters(
        factors=factors, iterations=iterations, seed=seed, regularization_scale=scale
    )
    threads = len(os.sched_getaffinity(0))
    events = interactions(ratings)
    fitted = fit(events.matrix, parameters, threads=threads, times=events.times)
    frame = random_model(ratings.n_movies, factors, seed=seed, item_item=False)
    info = fitted.to_model_info(frame.info, parameters)
    return _replaced(frame, info, fitted.factors.items, fitted.item_item_weights)


def without_item_item_weights(model: Model) -> Model:
    """Return the model with its factors alone."""
    return _replaced(model, model.info, model.item_factors, None)


def _replaced(
    model: Model, info: ModelInfo, factors: NDArray[np.float32], item_item_weights: ItemItemWeights | None
) -> Model:
    parts = (model.catalogue, model.weights)
    return Model(info, model.item_ids, factors, *parts, item_item_weights=item_item_weights)


def _item_item_weights(movies: int, rng: np.random.Generator, slope: float) -> ItemItemWeights:
    per_item = min(WEIGHTS_PER_ITEM, movies - 1)
    targets = np.repeat(np.arange(movies), per_item)
    sources = (movies * rng.random(len(targets)) ** 2).astype(np.int64)
    values = rng.normal(0, 0.05, len(targets)).astype(np.float32)
    matrix = csr_matrix((values, (sources, targets)), shape=(movies, movies))
    return ItemItemWeights.from_matrix(matrix, slope=slope)


def interactions(ratings: Ratings) -> Interactions:
    """Return the ratings as the trainer reads them from the warehouse."""
    ids: NDArray[np.int64] = np.arange(1, ratings.n_movies + 1)
    return Interactions.from_blocks(
        [(ratings.users, ratings.movies, weights_of(ratings), ratings.seconds * 1_000_000)], ids
    )
