"""Ranks for every evaluated user and says how good the lists are, each figure with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataflix_recommender import NO_ITEM, metrics, top_k_rows
from dataflix_recommender.baselines import Scorer
from dataflix_recommender.batch_ranker import SCORES_PER_BLOCK
from dataflix_trainer.evaluation.protocols import Part

Interval = dict[str, float]


@dataclass(frozen=True, slots=True)
class Measured:
    """``figures`` by name, e.g. ``ndcg@10``: mean, low, high; ``per_user`` float64[E] by the same names."""

    figures: dict[str, Interval]
    per_user: dict[str, NDArray[np.float64]]


def rank(scorer: Scorer, part: Part, k: int) -> NDArray[np.int64]:
    """Return int64[E, k]: each evaluated user's best unseen items of the whole catalogue."""
    users, items = part.known.shape
    ranked = np.full((users, k), NO_ITEM, dtype=np.int64)
    block = max(1, SCORES_PER_BLOCK // items)
    for start in range(0, users, block):
        rows = slice(start, start + block)
        ranked[rows], _ = top_k_rows(scorer.scores(part.known[rows]), part.seen[rows], k)
    return ranked


def ndcg(scorer: Scorer, part: Part, k: int) -> NDArray[np.float64]:
    """Return each evaluated user's NDCG@k, float64[E]: what tuning looks at."""
    hits = metrics.hits_in(rank(scorer, part, k), part.targets)
    return metrics.ndcg_at_k(hits, metrics.relevant_in(part.targets), k)


def measure(
    scorer: Scorer, part: Part, cutoffs: Sequence[int], vectors: NDArray[np.float32], *, seed: int
) -> Measured:
    """Measure everything at every cutoff; ``vectors`` float32[I, D] are what diversity looks at."""
    ranked = rank(scorer, part, max(cutoffs))
    hits, relevant = metrics.hits_in(ranked, part.targets), metrics.relevant_in(part.targets)
    users, items = part.train.shape
    users = int(np.count_nonzero(np.diff(part.train.indptr)))
    counts = np.bincount(part.train.indices, minlength=items)
    per_user: dict[str, NDArray[np.float64]] = {}
    overall: dict[str, Interval] = {}
    for k in cutoffs:
        per_user |= {
            f"ndcg@{k}": metrics.ndcg_at_k(hits, relevant, k),
            f"recall@{k}": metrics.recall_at_k(hits, relevant, k),
            f"truncated_recall@{k}": metrics.truncated_recall_at_k(hits, relevant, k),
            f"precision@{k}": metrics.precision_at_k(hits, k),
            f"map@{k}": metrics.average_precision_at_k(hits, relevant, k),
            f"mrr@{k}": metrics.reciprocal_rank_at_k(hits, k),
            f"hit@{k}": metrics.hit_rate_at_k(hits, k),
            f"novelty@{k}": metrics.novelty_at_k(ranked, counts, users, k),
            f"diversity@{k}": metrics.diversity_at_k(ranked, vectors, k),
        }
        for name in metrics.OVERALL:
            overall[f"{name}@{k}"] = _interval(*metrics.overall_interval(name, ranked, items, k, seed=seed))
    means, lows, highs = metrics.bootstrap_intervals(np.column_stack(list(per_user.values())), seed=seed)
    rows = zip(per_user, means.tolist(), lows.tolist(), highs.tolist(), strict=True)
    return Measured({name: _interval(*row) for name, *row in rows} | overall, per_user)


def _interval(mean: float, low: float, high: float) -> Interval:
    return {"mean": mean, "low": low, "high": high}
