"""On real ratings, at the defaults: better than popularity by far, and a model of noise is refused."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.csv
import pytest

from dataflix_recommender import ConfidenceWeights, Item, ItemCatalogue
from dataflix_trainer.data.holdout import HOLDOUT_SEED, latest_events
from dataflix_trainer.data.interactions import Interactions
from dataflix_trainer.data.training_data import TrainingData
from dataflix_trainer.evaluation.holdout_evaluation import evaluate_model, evaluate_popularity
from dataflix_trainer.model.hyperparameters import Hyperparameters
from dataflix_trainer.promotion.rule import decide
from dataflix_trainer.training import TrainingProvenance, fit_and_evaluate


@dataclass
class Ratings:
    users: np.ndarray
    movies: np.ndarray
    weights: np.ndarray
    times: np.ndarray


@pytest.fixture(scope="module")
def ratings(movielens: Path, weights: ConfidenceWeights) -> Ratings:
    table = pyarrow.csv.read_csv(movielens / "ratings.csv").sort_by(
        [("userId", "ascending"), ("movieId", "ascending")]
    )
    stars = table["rating"].to_numpy()
    return Ratings(
        table["userId"].to_numpy(),
        table["movieId"].to_numpy(),
        weights.weigh(stars, np.zeros(len(stars), dtype=np.int64)),
        table["timestamp"].to_numpy() * 1_000_000,
    )


def data_of(ratings: Ratings, weights: ConfidenceWeights) -> TrainingData:
    item_ids = np.unique(ratings.movies)
    interactions = Interactions.from_blocks(
        [(ratings.users, ratings.movies, ratings.weights, ratings.times)], item_ids
    )
    catalogue = ItemCatalogue.from_items([Item(int(movie), f"Movie {movie}") for movie in item_ids])
    return TrainingData(interactions, catalogue, weights)


def test_the_defaults_are_far_above_popularity(ratings: Ratings, weights: ConfidenceWeights) -> None:
    data = data_of(ratings, weights)
    trained = fit_and_evaluate(data, Hyperparameters(), TrainingProvenance(), threads=2)
    metrics = trained.model.info.metrics
    assert metrics["ndcg@10"] > 1.3 * metrics["popularity_ndcg@10"]
    assert metrics["ndcg@10_low"] > metrics["popularity_ndcg@10"]
    holdout = latest_events(data.interactions, seed=HOLDOUT_SEED)
    verdict = decide(evaluate_model(trained.evaluated, holdout), evaluate_popularity(holdout), None)
    assert verdict.accepted


def test_a_model_of_shuffled_ratings_is_refused(ratings: Ratings, weights: ConfidenceWeights) -> None:
    # Who rated what is mixed up, so the model cannot know anybody; popularity survives the shuffle.
    generator = np.random.default_rng(1)
    movies = generator.permutation(ratings.movies)
    order = np.lexsort((movies, ratings.users))
    users, movies = ratings.users[order], movies[order]
    first = np.concatenate(([True], (np.diff(users) != 0) | (np.diff(movies) != 0)))
    shuffled = Ratings(
        users[first], movies[first], ratings.weights[order][first], ratings.times[order][first]
    )
    noise = fit_and_evaluate(data_of(shuffled, weights), Hyperparameters(), TrainingProvenance(), threads=2)
    holdout = latest_events(data_of(ratings, weights).interactions, seed=HOLDOUT_SEED)
    verdict = decide(evaluate_model(noise.evaluated, holdout), evaluate_popularity(holdout), None)
    assert not verdict.accepted
    assert "does not beat popularity" in verdict.reason
