"""How well items without an event are placed by their categories and attributes.

A tenth of the items lose all their events, as if they had come in after the data. A model is fitted on what
is left without each user's latest fifth. Then two questions are asked: in which order are new items ranked
among themselves, and what do lists of the whole catalogue gain or lose by having them.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dataflix_recommender import NO_ITEM, BatchRanker, History, Model, metrics
from dataflix_trainer.data.holdout import HOLDOUT_SEED, Holdout, latest_events
from dataflix_trainer.data.training_data import TrainingData
from dataflix_trainer.errors import DataError
from dataflix_trainer.evaluation.holdout_evaluation import BOOTSTRAP_SEED, evaluate_model
from dataflix_trainer.evaluation.options import MAIN_METRIC
from dataflix_trainer.evaluation.ranking_metrics import accuracy_metrics
from dataflix_trainer.model.hyperparameters import Hyperparameters
from dataflix_trainer.model.product_model import build_model, fit_logged, model_info

# One item in so many is made new.
ONE_IN = 10
# Of those that so many users liked: fewer say little about who would like it.
MIN_LIKES = 5
LENGTH = 10
# Draws of the split that settings were chosen on, and of the one that is reported.
VALIDATION_PART, TEST_PART = 0, 1
DRAW_SEED = 20261130


@dataclass(frozen=True, slots=True)
class NewItemsSplit:
    """Items made new, and what was done with them.

    Attributes:
        new: bool[I].
        holdout: the events left to train on, and as targets the held-out ones and all of new items.
    """

    new: NDArray[np.bool_]
    holdout: Holdout


def split_new_items(data: TrainingData, part: int) -> NewItemsSplit:
    """Make a tenth of the items new; different parts have different items.

    Raises:
        DataError: there are too few items that users like and that have categories or attributes.
    """
    features = data.features
    matrix = data.interactions.matrix
    likes = np.bincount(matrix.indices[matrix.data > 0], minlength=matrix.shape[1])
    known = np.zeros(matrix.shape[1], np.int64) if features is None else np.diff(features.indptr)
    eligible = np.flatnonzero((likes >= MIN_LIKES) & (known > 0))
    size = len(eligible) // ONE_IN
    if size < 1:
        raise DataError(
            f"{len(eligible)} items have categories or attributes and {MIN_LIKES} users who like them; "
            f"{ONE_IN} are needed to measure new items"
        )
    drawn = np.random.default_rng(DRAW_SEED).permutation(eligible)[part * size : (part + 1) * size]
    new = np.zeros(matrix.shape[1], dtype=np.bool_)
    new[drawn] = True
    holdout = latest_events(data.interactions, seed=HOLDOUT_SEED)
    train = _without_columns(holdout.train, new)
    times = holdout.times[~new[holdout.train.indices]]
    # What users like of new items, whenever, and their latest events of the others.
    liked = matrix.maximum(0)
    liked.eliminate_zeros()
    targets = _without_columns(liked, ~new)[holdout.users] + _without_columns(holdout.targets, new)
    targets.sort_indices()
    evaluated = np.flatnonzero(np.diff(targets.indptr))
    # Without an event that is left, there is nobody to rank for.
    evaluated = evaluated[np.diff(train.indptr)[holdout.users[evaluated]] > 0]
    users = holdout.users[evaluated]
    targets = csr_matrix(targets[evaluated])
    return NewItemsSplit(new, Holdout(train, users, train[users], targets, holdout.item_ids, times))


def evaluate_new_items(
    data: TrainingData, parameters: Hyperparameters, *, threads: int, part: int = TEST_PART
) -> dict[str, Any]:
    """Fit without a tenth of the items, and measure how they are placed.

    Args:
        data: with features.
        parameters: of the fit.
        threads: that fit.
        part: which tenth.

    Returns:
        Figures by name; those that begin with ``new_`` are of new items among themselves.

    Raises:
        DataError: there are too few items, or the data cannot be trained on.
    """
    split = split_new_items(data, part)
    fitted = fit_logged(split.holdout.train, split.holdout.times, parameters, threads)
    info = model_info(data, parameters)
    placed = build_model(data, fitted, parameters, info)
    without = build_model(replace(data, features=None), fitted, parameters, info)
    ours, before = (evaluate_model(model, split.holdout) for model in (placed, without))
    ranked, random = _among_new(placed, split)
    lists, _ = BatchRanker(placed).recommend(split.holdout.known, LENGTH)
    gain = ours.per_user[MAIN_METRIC] - before.per_user[MAIN_METRIC]
    return {
        "new_items": int(split.new.sum()),
        "items": placed.size,
        "users": ours.users,
        "new_users": len(ranked),
        "new_ndcg@10": _interval(ranked),
        "new_random_ndcg@10": _interval(random),
        "ndcg@10": ours.means()[MAIN_METRIC],
        "ndcg@10_without": before.means()[MAIN_METRIC],
        "ndcg@10_gain": _interval(gain),
        "offered": float(np.mean(split.new[lists] & (lists != NO_ITEM)) * LENGTH),
    }


def _among_new(model: Model, split: NewItemsSplit) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return NDCG of the new items' order for each user who likes one, and that of a random order."""
    columns = np.flatnonzero(split.new)
    targets = csr_matrix(split.holdout.targets[:, columns])
    users = np.flatnonzero(np.diff(targets.indptr))
    targets, known = targets[users], split.holdout.known[users]
    relevant = metrics.relevant_in(targets)
    generator = np.random.default_rng(DRAW_SEED)
    ranked = np.full((len(users), LENGTH), NO_ITEM, dtype=np.int64)
    drawn = ranked.copy()
    for row in range(len(users)):
        events = known[[row]]
        profile = model.user_profile(History(model.item_ids[events.indices], events.data))
        found = profile.recommend(LENGTH, split.new.copy(), explain=False)
        positions = model.positions([item.item_id for item in found])
        ranked[row, : len(positions)] = np.searchsorted(columns, positions)
        drawn[row, : len(positions)] = generator.permutation(len(columns))[: len(positions)]
    ours, random = (
        accuracy_metrics(metrics.hits_in(lists, targets), relevant, LENGTH)[MAIN_METRIC]
        for lists in (ranked, drawn)
    )
    return ours, random


def _interval(values: NDArray[np.float64]) -> dict[str, float]:
    mean, low, high = metrics.bootstrap_interval(values, seed=BOOTSTRAP_SEED)
    return {"mean": mean, "low": low, "high": high}


def _without_columns(matrix: csr_matrix, columns: NDArray[np.bool_]) -> csr_matrix:
    """Return ``matrix`` without the entries of some columns, in the same shape."""
    kept = ~columns[matrix.indices]
    before = np.concatenate(([0], np.cumsum(kept)))
    return csr_matrix((matrix.data[kept], matrix.indices[kept], before[matrix.indptr]), shape=matrix.shape)
