"""Judges a model on a holdout, with the code that serves."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataflix_recommender import NO_ITEM, BatchRanker, Model, metrics, top_k_rows
from dataflix_trainer.data.holdout import Holdout
from dataflix_trainer.data.interactions import move_columns

# 10 films fill a page, 20 are published for each user, 100 is what a rerank would choose from.
CUTOFFS = (10, 20, 100)
MAIN_METRIC = "ndcg@10"
# Rows of popularity scores made at a time: they are equal, and need not all exist.
POPULARITY_ROWS = 256


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured of one model.

    ``per_user`` are metrics by name, float64[E] each in the order of ``Holdout.users``; ``overall`` are those
    of all lists together.
    """

    per_user: Mapping[str, NDArray[np.float64]]
    overall: Mapping[str, float]

    def means(self) -> dict[str, float]:
        """Return every metric as one number, e.g. ``{"ndcg@10": 0.13}``; none when nobody was evaluated."""
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
    """Fold in what each user is known by, rank the model's whole catalogue without it, and compare.

    The model may be older than the data: films that it does not know are missing from its lists and count
    against it.
    """
    to_model = model.positions(holdout.item_ids)
    known = move_columns(holdout.known, to_model, model.size)
    ranked, _ = BatchRanker(model).recommend(known, max(CUTOFFS))
    to_holdout = np.searchsorted(holdout.item_ids, model.item_ids)
    ids = np.minimum(to_holdout, len(holdout.item_ids) - 1)
    # A film that has left the catalogue cannot be a hit.
    to_holdout = np.where(holdout.item_ids[ids] == model.item_ids, ids, NO_ITEM)
    return _evaluate(np.where(ranked == NO_ITEM, NO_ITEM, to_holdout[ranked]), holdout)


def evaluate_popularity(holdout: Holdout) -> Evaluation:
    """Rank for everybody by the number of users who liked a film in the training part."""
    liked = holdout.train.data > 0
    counts = np.bincount(holdout.train.indices[liked], minlength=len(holdout.item_ids)).astype(np.float32)
    users = len(holdout.users)
    ranked = np.empty((users, max(CUTOFFS)), dtype=np.int64)
    for start in range(0, users, POPULARITY_ROWS):
        seen = holdout.known[start : start + POPULARITY_ROWS]
        scores = np.broadcast_to(counts, seen.shape)
        ranked[start : start + seen.shape[0]], _ = top_k_rows(scores, seen, max(CUTOFFS))
    return _evaluate(ranked, holdout)


def _evaluate(ranked: NDArray[np.int64], holdout: Holdout) -> Evaluation:
    hits = metrics.hits_in(ranked, holdout.targets)
    relevant = metrics.relevant_in(holdout.targets)
    per_user: dict[str, NDArray[np.float64]] = {}
    overall: dict[str, float] = {}
    for k in CUTOFFS:
        per_user |= {
            f"ndcg@{k}": metrics.ndcg_at_k(hits, relevant, k),
            f"recall@{k}": metrics.recall_at_k(hits, relevant, k),
            f"precision@{k}": metrics.precision_at_k(hits, k),
            f"map@{k}": metrics.average_precision_at_k(hits, relevant, k),
            f"mrr@{k}": metrics.reciprocal_rank_at_k(hits, k),
            f"hit@{k}": metrics.hit_rate_at_k(hits, k),
        }
        overall[f"coverage@{k}"] = metrics.coverage_at_k(ranked, len(holdout.item_ids), k)
    return Evaluation(per_user, overall)
