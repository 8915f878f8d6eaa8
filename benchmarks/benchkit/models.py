"""Models of any size, with random factors or fitted ones.

Random factors do where a cost does not depend on them. Lists by factors that fall with an item's popularity
need few of the items, so their cost is measured with fitted ones.
"""

import os
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from benchkit.data import Ratings
from benchkit.lake import weights_of
from benchkit.oltp import GENRES
from dataflix_recommender import ConfidenceWeights, Item, ItemCatalogue, ItemItemWeights, Model, ModelInfo
from dataflix_trainer.data.interactions import Interactions
from dataflix_trainer.model.als import Hyperparameters
from dataflix_trainer.model.fit import LINKS_PER_ITEM, fit

# A whole training takes 15; what is measured with such a model is not how good it is.
FITTED_ITERATIONS = 3


def make_model(films: int, factors: int, *, seed: int, links: bool = True) -> Model:
    """Return a model of films 1 to ``films`` with random factors and, as a trained one has, links.

    As the trainer's, a link leads to LINKS_PER_ITEM others, popular ones more often.
    """
    rng = np.random.default_rng(seed)
    catalogue = [
        Item(
            item_id=film,
            title=f"The Film of {film}",
            genres=(GENRES[film % len(GENRES)],),
            release_year=1930 + film % 95,
            duration_minutes=80 + film % 60,
            ratings_count=1 + films // film,
            mean_rating=2.5 + film % 5 / 2,
            bayesian_mean=3 + film % 7 / 10,
            trending_score=float(films - film),
        )
        for film in range(1, films + 1)
    ]
    info = ModelInfo(
        trained_at=datetime.now(UTC),
        factors=factors,
        regularization=20.0,
        alpha=2.0,
        iterations=1,
        seed=seed,
        n_users=1,
        n_items=films,
        n_interactions=1,
        activity_exponent=0.5,
        mean_events=144.0,
        item_item_slope=0.15,
    )
    return Model(
        info,
        np.arange(1, films + 1, dtype=np.int64),
        rng.normal(0, factors**-0.5, (films, factors)).astype(np.float32),
        ItemCatalogue.from_items(catalogue),
        ConfidenceWeights.default(),
        item_item_weights=_links(films, rng, info.item_item_slope) if links else None,
    )


def fit_model(
    ratings: Ratings, factors: int, *, seed: int, iterations: int = FITTED_ITERATIONS, scale: float = 1.0
) -> Model:
    """Return the trainer's own fit of the ratings, with links; ``scale`` multiplies the ridge."""
    parameters = Hyperparameters(
        factors=factors, iterations=iterations, seed=seed, regularization_scale=scale
    )
    threads = len(os.sched_getaffinity(0))
    fitted = fit(interactions(ratings).matrix, parameters, threads=threads)
    made = make_model(ratings.n_films, factors, seed=seed, links=False)
    told = fitted.told(made.info, parameters)
    return _model(made, told, fitted.factors.items, fitted.links)


def by_factors(model: Model) -> Model:
    """Return the model without its links."""
    return _model(model, model.info, model.item_factors, None)


def _model(
    like: Model, info: ModelInfo, factors: NDArray[np.float32], links: ItemItemWeights | None
) -> Model:
    return Model(info, like.item_ids, factors, like.catalogue, like.weights, item_item_weights=links)


def _links(films: int, rng: np.random.Generator, slope: float) -> ItemItemWeights:
    per_item = min(LINKS_PER_ITEM, films - 1)
    targets = np.repeat(np.arange(films), per_item)
    sources = (films * rng.random(len(targets)) ** 2).astype(np.int64)
    values = rng.normal(0, 0.05, len(targets)).astype(np.float32)
    matrix = csr_matrix((values, (sources, targets)), shape=(films, films))
    return ItemItemWeights.from_matrix(matrix, slope=slope)


def interactions(ratings: Ratings) -> Interactions:
    """Return the ratings as the trainer reads them from the warehouse."""
    ids: NDArray[np.int64] = np.arange(1, ratings.n_films + 1)
    return Interactions.from_blocks(
        [(ratings.users, ratings.films, weights_of(ratings), ratings.seconds * 1_000_000)], ids
    )
