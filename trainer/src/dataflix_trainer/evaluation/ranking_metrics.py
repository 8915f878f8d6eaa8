"""The metrics of accuracy by name: the one table for the registry and for evaluations on files."""

import numpy as np
from numpy.typing import NDArray

from dataflix_recommender import metrics


def accuracy_metrics(
    hits: NDArray[np.bool_], relevant: NDArray[np.int64], k: int
) -> dict[str, NDArray[np.float64]]:
    """Return the metrics of accuracy at ``k``, float64[E] each.

    Args:
        hits: bool[E, n], which items of each user's list are held-out ones.
        relevant: int64[E], how many held-out items each user has.
        k: length of the lists that are measured, at most n.
    """
    return {
        f"ndcg@{k}": metrics.ndcg_at_k(hits, relevant, k),
        f"recall@{k}": metrics.recall_at_k(hits, relevant, k),
        f"precision@{k}": metrics.precision_at_k(hits, k),
        f"map@{k}": metrics.average_precision_at_k(hits, relevant, k),
        f"mrr@{k}": metrics.reciprocal_rank_at_k(hits, k),
        f"hit@{k}": metrics.hit_rate_at_k(hits, k),
    }
