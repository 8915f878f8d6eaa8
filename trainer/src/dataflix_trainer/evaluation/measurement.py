"""Ranks for every evaluated user and measures the lists, each figure with its interval.

A split in time has several parts, and a user may be asked in more than one. Figures are means over users, of
each user's mean over the parts, so that intervals rest on people who are independent of each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataflix_recommender import NO_ITEM, metrics, top_k_rows
from dataflix_recommender.baselines import Scorer
from dataflix_recommender.batch_ranker import SCORES_PER_BLOCK
from dataflix_trainer.evaluation.protocols import EvalSplit
from dataflix_trainer.evaluation.ranking_metrics import accuracy_metrics

Interval = dict[str, float]
PerUser = dict[str, NDArray[np.float64]]
# The groups of users that are reported apart.
ALL, KNOWN, NEW = "all", "known", "new"


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured of one kind of model.

    Attributes:
        figures: mean, low and high of each metric by name, e.g. ``ndcg@10``.
        per_user: metrics of single users by group and name, float64[E] each. The groups are all users, those
            who were known when the model was fitted, and new ones; a group without users is missing.
    """

    figures: dict[str, Interval]
    per_user: dict[str, PerUser]


@dataclass(frozen=True, slots=True)
class _Lists:
    """The lists of one part and their metrics by name, one row for each evaluated user."""

    ranked: NDArray[np.int64]
    values: PerUser


def rank(scorer: Scorer, split: EvalSplit, k: int) -> NDArray[np.int64]:
    """Return int64[E, k], the best unseen items of the whole catalogue for each evaluated user."""
    users, items = split.known.shape
    ranked = np.full((users, k), NO_ITEM, dtype=np.int64)
    block = max(1, SCORES_PER_BLOCK // items)
    for start in range(0, users, block):
        rows = slice(start, start + block)
        scores = scorer.scores(split.known[rows], split.last_at[rows])
        ranked[rows], _ = top_k_rows(scores, split.seen[rows], k)
    return ranked


def ndcg(scorer: Scorer, split: EvalSplit, k: int) -> NDArray[np.float64]:
    """Return the NDCG@k of each evaluated user, float64[E]."""
    hits = metrics.hits_in(rank(scorer, split, k), split.targets)
    return metrics.ndcg_at_k(hits, metrics.relevant_in(split.targets), k)


def measure(
    scorers: Sequence[Scorer],
    splits: Sequence[EvalSplit],
    cutoffs: Sequence[int],
    vectors: Sequence[NDArray[np.float32]],
    *,
    seed: int,
) -> Measurement:
    """Measure every metric at every cutoff.

    Args:
        scorers: the model as fitted on each part.
        splits: what to ask in each part, and of whom.
        cutoffs: lengths of lists.
        vectors: float32[I, D] for each part, tell how alike items are, for diversity.
        seed: of the intervals.
    """
    parts = [_measure_part(*part, cutoffs) for part in zip(scorers, splits, vectors, strict=True)]
    users = np.concatenate([split.users for split in splits])
    is_new = np.concatenate([split.is_new for split in splits])
    values = {name: np.concatenate([part.values[name] for part in parts]) for name in parts[0].values}
    groups = {ALL: np.ones(len(users), dtype=np.bool_), KNOWN: ~is_new, NEW: is_new}
    per_user = {
        group: _mean_of_users(values, users, members) for group, members in groups.items() if members.any()
    }
    ranked = np.concatenate([part.ranked for part in parts])
    items = splits[0].train.shape[1]
    overall: dict[str, Interval] = {}
    for k in cutoffs:
        for name in metrics.OVERALL:
            overall[f"{name}@{k}"] = _interval(*metrics.overall_interval(name, ranked, items, k, seed=seed))
    of_all = per_user[ALL]
    means, lows, highs = metrics.bootstrap_intervals(np.column_stack(list(of_all.values())), seed=seed)
    rows = zip(of_all, means.tolist(), lows.tolist(), highs.tolist(), strict=True)
    return Measurement({name: _interval(*row) for name, *row in rows} | overall, per_user)


def _measure_part(
    scorer: Scorer, split: EvalSplit, vectors: NDArray[np.float32], cutoffs: Sequence[int]
) -> _Lists:
    ranked = rank(scorer, split, max(cutoffs))
    hits, relevant = metrics.hits_in(ranked, split.targets), metrics.relevant_in(split.targets)
    users = int(np.count_nonzero(np.diff(split.train.indptr)))
    counts = np.bincount(split.train.indices, minlength=split.train.shape[1])
    values: PerUser = {}
    for k in cutoffs:
        values |= accuracy_metrics(hits, relevant, k) | {
            f"truncated_recall@{k}": metrics.truncated_recall_at_k(hits, relevant, k),
            f"novelty@{k}": metrics.novelty_at_k(ranked, counts, users, k),
            f"diversity@{k}": metrics.diversity_at_k(ranked, vectors, k),
        }
    return _Lists(ranked, values)


def _mean_of_users(values: PerUser, users: NDArray[np.int64], members: NDArray[np.bool_]) -> PerUser:
    """Return the mean of each user's rows among the members, in the order of the users' numbers."""
    _, position, counts = np.unique(users[members], return_inverse=True, return_counts=True)
    return {name: np.bincount(position, weights=rows[members]) / counts for name, rows in values.items()}


def _interval(mean: float, low: float, high: float) -> Interval:
    return {"mean": mean, "low": low, "high": high}
