"""Ranks for every evaluated user of a split and measures the lists, each figure with its interval."""

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


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured of one model on one split.

    Attributes:
        figures: mean, low and high of each metric by name, e.g. ``ndcg@10``.
        per_user: metrics of single users by name, float64[E] each.
    """

    figures: dict[str, Interval]
    per_user: dict[str, NDArray[np.float64]]


def rank(scorer: Scorer, split: EvalSplit, k: int) -> NDArray[np.int64]:
    """Return int64[E, k], the best unseen items of the whole catalogue for each evaluated user."""
    users, items = split.known.shape
    ranked = np.full((users, k), NO_ITEM, dtype=np.int64)
    block = max(1, SCORES_PER_BLOCK // items)
    for start in range(0, users, block):
        rows = slice(start, start + block)
        ranked[rows], _ = top_k_rows(scorer.scores(split.known[rows]), split.seen[rows], k)
    return ranked


def ndcg(scorer: Scorer, split: EvalSplit, k: int) -> NDArray[np.float64]:
    """Return the NDCG@k of each evaluated user, float64[E]."""
    hits = metrics.hits_in(rank(scorer, split, k), split.targets)
    return metrics.ndcg_at_k(hits, metrics.relevant_in(split.targets), k)


def measure(
    scorer: Scorer, split: EvalSplit, cutoffs: Sequence[int], vectors: NDArray[np.float32], *, seed: int
) -> Measurement:
    """Measure every metric at every cutoff.

    Args:
        scorer: the fitted model.
        split: what to ask, and of whom.
        cutoffs: lengths of lists.
        vectors: float32[I, D], tell how alike items are, for diversity.
        seed: of the intervals.
    """
    ranked = rank(scorer, split, max(cutoffs))
    hits, relevant = metrics.hits_in(ranked, split.targets), metrics.relevant_in(split.targets)
    items = split.train.shape[1]
    users = int(np.count_nonzero(np.diff(split.train.indptr)))
    counts = np.bincount(split.train.indices, minlength=items)
    per_user: dict[str, NDArray[np.float64]] = {}
    overall: dict[str, Interval] = {}
    for k in cutoffs:
        per_user |= accuracy_metrics(hits, relevant, k) | {
            f"truncated_recall@{k}": metrics.truncated_recall_at_k(hits, relevant, k),
            f"novelty@{k}": metrics.novelty_at_k(ranked, counts, users, k),
            f"diversity@{k}": metrics.diversity_at_k(ranked, vectors, k),
        }
        for name in metrics.OVERALL:
            overall[f"{name}@{k}"] = _interval(*metrics.overall_interval(name, ranked, items, k, seed=seed))
    means, lows, highs = metrics.bootstrap_intervals(np.column_stack(list(per_user.values())), seed=seed)
    rows = zip(per_user, means.tolist(), lows.tolist(), highs.tolist(), strict=True)
    return Measurement({name: _interval(*row) for name, *row in rows} | overall, per_user)


def _interval(mean: float, low: float, high: float) -> Interval:
    return {"mean": mean, "low": low, "high": high}
