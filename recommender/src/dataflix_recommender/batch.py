"""Ranking for many users at once: evaluation and publishing score with the code that serves one."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dataflix_recommender.errors import InvalidHistoryError
from dataflix_recommender.foldin import fold_in
from dataflix_recommender.metrics import NO_ITEM
from dataflix_recommender.model import Model
from dataflix_recommender.ranking import highest

# Scores held at a time by each thread: 16 MiB of float32, whatever the size of the catalogue.
SCORES_AT_A_TIME = 1 << 22


def recommend_many(
    model: Model, user_items: csr_matrix, n: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rank for every row of ``user_items`` as ``model.recommend`` would for that history.

    ``user_items`` is a [U, I] matrix of weights, its columns positions in ``model.item_ids``; every stored
    entry counts as seen. Returns positions int64[U, n], NO_ITEM where a user has fewer unseen items, and
    scores float32[U, n], 0 there. Raises InvalidHistoryError for a weight that is 0 or not finite.
    """
    if np.any(user_items.data == 0) or not np.isfinite(user_items.data).all():
        raise InvalidHistoryError("a weight is 0 or not finite: an explicit zero would count as seen")
    users = user_items.shape[0]
    ranked = np.full((users, n), NO_ITEM, dtype=np.int64)
    best_scores = np.zeros((users, n), dtype=np.float32)
    block = max(1, SCORES_AT_A_TIME // model.size)
    for start in range(0, users, block):
        rows = user_items[start : start + block]
        places = slice(start, start + rows.shape[0])
        ranked[places], best_scores[places] = rank_rows(score_rows(model, rows), rows, n)
    return ranked, best_scores


def score_rows(model: Model, rows: csr_matrix) -> NDArray[np.float32]:
    """Return float32[U, I]: every item's score for each row of ``rows`` [U, I] of weights, seen ones too."""
    factors = _factors(model, rows)
    scores: NDArray[np.float32] = factors @ model.item_factors.T
    if model.links.matrix.nnz:
        for row in range(rows.shape[0]):
            events = slice(rows.indptr[row], rows.indptr[row + 1])
            scores[row] += model.links.of_events(rows.indices[events], rows.data[events]).scores()
    scores[~factors.any(axis=1)] = model.popularity
    return scores


def rank_rows(
    scores: NDArray[np.float32], seen: csr_matrix, n: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the top ``n`` of each row of ``scores`` float32[U, I] that ``seen`` [U, I] does not store.

    The result has the form of ``recommend_many``.
    """
    users = scores.shape[0]
    ranked = np.full((users, n), NO_ITEM, dtype=np.int64)
    best_scores = np.zeros((users, n), dtype=np.float32)
    for row in range(users):
        values = scores[row].copy()
        values[seen.indices[seen.indptr[row] : seen.indptr[row + 1]]] = -np.inf
        best = highest(values, n)
        ranked[row, : len(best)] = best
        best_scores[row, : len(best)] = scores[row, best]
    return ranked, best_scores


def _factors(model: Model, rows: csr_matrix) -> NDArray[np.float32]:
    """Fold in each row; float32[U, F]."""
    factors = np.zeros((rows.shape[0], model.info.factors), dtype=np.float32)
    for row in range(rows.shape[0]):
        events = slice(rows.indptr[row], rows.indptr[row + 1])
        confidences = model.confidences(rows.data[events])
        item_factors = model.item_factors[rows.indices[events]]
        factors[row] = fold_in(item_factors, confidences, model.gram, model.info.regularization).factor
    return factors
