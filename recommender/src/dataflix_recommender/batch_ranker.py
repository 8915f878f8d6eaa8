"""Lists for many users at once: evaluation and publishing rank with the rules that serve one user.

Items that have item-item weights come first (the head), the others in order of the length of their factors
(the tail). Most of the tail is never multiplied: y x is at most |y| |x|, and no item of a block is in a list
whose last score is above that and what recent popularity adds at most. Teflioudi, Gemulla and Mykytiuk,
"LEMP: Fast Retrieval of Large Entries in a Matrix Product" (2015), prune so.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dataflix_recommender.algorithms.batch_fold_in import BatchFoldIn
from dataflix_recommender.algorithms.top_k import (
    NO_ITEM,
    Lists,
    reaching,
    row_thresholds,
    top_k_grouped,
    top_k_masked,
)
from dataflix_recommender.data.item_item_weights import event_values
from dataflix_recommender.errors import InvalidHistoryError
from dataflix_recommender.model_data import ModelData

# Scores that each thread holds at a time: 16 MiB of float32, whatever the size of the catalogue.
SCORES_PER_BLOCK = 1 << 22
# The head has at least so many items, and each block of the tail exactly so many.
MIN_HEAD_ITEMS = 2_048
TAIL_BLOCK_ITEMS = 1_024
# Users whose item-item rows are gathered at a time: about 50,000 weights, 600 kB.
USERS_PER_GATHER = 16
# What rounding may add to a bound, relative to it: sums of 128 products in single precision are off by 1e-6.
SLACK = 1e-5


class BatchRanker:
    """Ranks for many users of one model. It is immutable, so threads may share it."""

    def __init__(self, model: ModelData) -> None:
        self._model = model
        self._fold_in = BatchFoldIn(model.item_factors, model.gram, model.info)
        weights = model.item_item_weights.matrix
        has_weights = np.bincount(weights.indices, minlength=model.size) > 0
        lengths = np.linalg.norm(model.item_factors.astype(np.float64), axis=1)
        # The ranker orders items by place: the position of each place, and the place of each position.
        self._positions = np.lexsort((-lengths, ~has_weights))
        self._places = np.empty_like(self._positions)
        self._places[self._positions] = np.arange(model.size)
        self._factors = model.item_factors[self._positions]
        # The tail has whole blocks only; what is left over is part of the head.
        head = min(model.size, max(MIN_HEAD_ITEMS, int(has_weights.sum())))
        self._head = head + (model.size - head) % TAIL_BLOCK_ITEMS
        tail = lengths[self._positions][self._head :]
        self._tail_lengths = tail.reshape(-1, TAIL_BLOCK_ITEMS).max(axis=1, initial=0).astype(np.float32)
        self._recent = model.recent_popularity.values[self._positions]
        tail_recent = self._recent[self._head :].reshape(-1, TAIL_BLOCK_ITEMS)
        self._tail_recent: NDArray[np.float32] = tail_recent.max(axis=1, initial=0)
        places = self._places[weights.indices]
        self._item_item = csr_matrix((weights.data, places, weights.indptr), shape=(model.size, self._head))

    def recommend(self, user_items: csr_matrix, n: int, last_at: NDArray[np.int64] | None = None) -> Lists:
        """Return the list of each user, as ``Model.recommend`` returns it for that history.

        Args:
            user_items: [U, I] weights; columns are positions in ``item_ids``. Each stored entry is seen.
            n: The length of a list.
            last_at: int64[U], microseconds since 1970 of each user's latest event; None for users who are
                here now.

        Returns:
            Positions int64[U, n], NO_ITEM where a user has fewer unseen items, and scores float32[U, n], 0
            there.

        Raises:
            InvalidHistoryError: A weight is 0 or not finite.
        """
        if np.any(user_items.data == 0) or not np.isfinite(user_items.data).all():
            raise InvalidHistoryError("a weight is 0 or not finite: an explicit zero would count as seen")
        users = user_items.shape[0]
        ranked = np.full((users, n), NO_ITEM, dtype=np.int64)
        best_scores = np.zeros((users, n), dtype=np.float32)
        factors = self._fold_in.factors(user_items)
        has_factors = factors.any(axis=1)
        for row in np.flatnonzero(~has_factors):
            values = self._model.popularity.copy()
            values[user_items.indices[user_items.indptr[row] : user_items.indptr[row + 1]]] = -np.inf
            best = top_k_masked(values, n)
            ranked[row, : len(best)], best_scores[row, : len(best)] = best, values[best]
        strengths = self._model.recent_popularity.strengths(np.diff(user_items.indptr), last_at)
        folded = np.flatnonzero(has_factors)
        block = max(1, SCORES_PER_BLOCK // self._head)
        for start in range(0, len(folded), block):
            some = folded[start : start + block]
            rows = user_items if len(some) == users else user_items[some]
            ranked[some], best_scores[some] = self._rank(factors[some], rows, strengths[some], n)
        return ranked, best_scores

    def scores(self, user_items: csr_matrix, last_at: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Return float32[U, I]: the score of each item for each row of weights, seen items included.

        See ``recommend`` for ``last_at``.
        """
        factors = self._fold_in.factors(user_items)
        scores: NDArray[np.float32] = factors @ self._factors.T
        self._add_item_item_scores(scores[:, : self._head], user_items)
        strengths = self._model.recent_popularity.strengths(np.diff(user_items.indptr), last_at)
        _add_popularity(scores, strengths, self._recent)
        scores = scores[:, self._places]
        scores[~factors.any(axis=1)] = self._model.popularity
        return scores

    def _add_item_item_scores(self, scores: NDArray[np.float32], rows: csr_matrix) -> None:
        """Add the item-item part of each user to ``scores`` [B, head]."""
        if not self._item_item.nnz:
            return
        values = event_values(rows.data, self._model.item_item_weights.slope)
        for start in range(0, rows.shape[0], USERS_PER_GATHER):
            bounds = rows.indptr[start : start + USERS_PER_GATHER + 1]
            events = slice(bounds[0], bounds[-1])
            weights = self._item_item[rows.indices[events]]
            weights.data *= np.repeat(values[events], np.diff(weights.indptr))
            # The rows of all events of a user, put end to end, are one sparse row with repeated columns.
            offsets = weights.indptr[bounds - bounds[0]]
            part = csr_matrix((weights.data, weights.indices, offsets), (len(bounds) - 1, self._head))
            scores[start : start + USERS_PER_GATHER] += part.toarray()

    def _rank(
        self, factors: NDArray[np.float32], rows: csr_matrix, strengths: NDArray[np.float32], n: int
    ) -> Lists:
        """Return the lists of users with ``factors`` [B, F], events ``rows`` [B, I] and ``strengths`` [B]."""
        users = len(factors)
        seen_by = np.repeat(np.arange(users), np.diff(rows.indptr))
        seen = self._places[rows.indices]
        head = factors @ self._factors[: self._head].T
        self._add_item_item_scores(head, rows)
        _add_popularity(head, strengths, self._recent[: self._head])
        in_head = seen < self._head
        head[seen_by[in_head], seen[in_head]] = -np.inf
        thresholds = row_thresholds(head, n)[:, None]
        owners, places = reaching(head, thresholds)
        found = [(owners, places, head[owners, places])]
        bounds = np.linalg.norm(factors, axis=1)[:, None] * self._tail_lengths
        bounds += strengths[:, None] * self._tail_recent
        in_reach = bounds + SLACK * (bounds + np.abs(thresholds)) >= thresholds
        row_of = np.empty(users, dtype=np.int64)
        for block in np.flatnonzero(in_reach.any(axis=0)):
            some = np.flatnonzero(in_reach[:, block])
            first = self._head + block * TAIL_BLOCK_ITEMS
            last = first + TAIL_BLOCK_ITEMS
            scores = factors[some] @ self._factors[first:last].T
            _add_popularity(scores, strengths[some], self._recent[first:last])
            row_of[:] = -1
            row_of[some] = np.arange(len(some))
            here = np.flatnonzero((seen >= first) & (seen < last) & (row_of[seen_by] >= 0))
            scores[row_of[seen_by[here]], seen[here] - first] = -np.inf
            owners, places = reaching(scores, thresholds[some])
            found.append((some[owners], places + first, scores[owners, places]))
        owners, places, best = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return top_k_grouped(users, n, owners, self._positions[places], best)


def _add_popularity(
    scores: NDArray[np.float32], strengths: NDArray[np.float32], recent: NDArray[np.float32]
) -> None:
    """Add to ``scores`` [B, M] what recent popularity [M] adds for users with ``strengths`` [B]."""
    # Most models have none: an outer product of zeros would cost as much as the scores.
    if strengths.any():
        scores += strengths[:, None] * recent
