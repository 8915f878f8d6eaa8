"""Evaluates a model on a holdout, with the code that serves."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataflix_recommender import NO_ITEM, BatchRanker, Model, metrics, top_k_rows
from dataflix_trainer.data.holdout import Holdout
from dataflix_trainer.data.interactions import move_columns
from dataflix_trainer.evaluation.options import DEFAULT_CUTOFFS, MAIN_METRIC
from dataflix_trainer.evaluation.ranking_metrics import accuracy_metrics

# Fixed, so that the same question has the same answer.
BOOTSTRAP_SEED = 7
MAX_CUTOFF = max(DEFAULT_CUTOFFS)
# Rows of popularity scores made at a time. All rows are equal, so not all need to exist at once.
POPULARITY_ROWS = 256


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured of one model.

    Attributes:
        per_user: metrics by name, float64[E] each, in the order of ``Holdout.users``.
        overall: metrics of all lists together.
    """

    per_user: Mapping[str, NDArray[np.float64]]
    overall: Mapping[str, float]

    def means(self) -> dict[str, float]:
        """Return every metric as one number, e.g. ``{"ndcg@10": 0.13}``; none if no user was evaluated."""
        if self.users == 0:
            return {}
        return {name: float(values.mean()) for name, values in self.per_user.items()} | dict(self.overall)

    @property
    def users(self) -> int:
        """Number of evaluated users."""
        return len(self.per_user[MAIN_METRIC])

    def interval(self, name: str, *, seed: int) -> tuple[float, float, float]:
        """Return mean, low and high of the 95 % bootstrap interval over users."""
        return metrics.bootstrap_interval(self.per_user[name], seed=seed)


def evaluate_model(model: Model, holdout: Holdout) -> Evaluation:
    """Fold in each user's known events, rank the whole catalogue of the model without them, and measure.

    The model may be older than the data. Items that it does not know are missing from its lists and count
    against it.
    """
    to_model = model.positions(holdout.item_ids)
    known = move_columns(holdout.known, to_model, model.size)
    ranked, _ = BatchRanker(model).recommend(known, MAX_CUTOFF)
    to_holdout = np.searchsorted(holdout.item_ids, model.item_ids)
    ids = np.minimum(to_holdout, len(holdout.item_ids) - 1)
    # An item that has left the catalogue cannot be a hit.
    to_holdout = np.where(holdout.item_ids[ids] == model.item_ids, ids, NO_ITEM)
    return _measure(np.where(ranked == NO_ITEM, NO_ITEM, to_holdout[ranked]), holdout)


def evaluate_popularity(holdout: Holdout) -> Evaluation:
    """Rank items for all users by the number of users who liked them in the training part, and measure."""
    liked = holdout.train.data > 0
    counts = np.bincount(holdout.train.indices[liked], minlength=len(holdout.item_ids)).astype(np.float32)
    users = len(holdout.users)
    ranked = np.empty((users, MAX_CUTOFF), dtype=np.int64)
    for start in range(0, users, POPULARITY_ROWS):
        seen = holdout.known[start : start + POPULARITY_ROWS]
        scores = np.broadcast_to(counts, seen.shape)
        ranked[start : start + seen.shape[0]], _ = top_k_rows(scores, seen, MAX_CUTOFF)
    return _measure(ranked, holdout)


def _measure(ranked: NDArray[np.int64], holdout: Holdout) -> Evaluation:
    hits = metrics.hits_in(ranked, holdout.targets)
    relevant = metrics.relevant_in(holdout.targets)
    per_user: dict[str, NDArray[np.float64]] = {}
    overall: dict[str, float] = {}
    for k in DEFAULT_CUTOFFS:
        per_user |= accuracy_metrics(hits, relevant, k)
        overall[f"coverage@{k}"] = metrics.coverage_at_k(ranked, len(holdout.item_ids), k)
    return Evaluation(per_user, overall)
