"""Ranking for many users at once: evaluation and publishing get the lists of the code that serves one.

Films that have links come first, the others in order of the length of their factors, and most of these are
never multiplied: y x is at most |y| |x|, and no film of a block enters a list whose last place is above that.
Teflioudi, Gemulla and Mykytiuk, "LEMP: Fast Retrieval of Large Entries in a Matrix Product" (2015), prune so.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dataflix_recommender.errors import InvalidHistoryError
from dataflix_recommender.foldin_many import ManyFolded
from dataflix_recommender.links import event_values
from dataflix_recommender.metrics import NO_ITEM
from dataflix_recommender.model import Model
from dataflix_recommender.ranking import highest

# Scores held at a time by each thread: 16 MiB of float32, whatever the size of the catalogue.
SCORES_AT_A_TIME = 1 << 22
# Films scored for everybody, if no more have links, and those scored at a time after them.
HEAD = 2_048
TAIL = 1_024
# Users whose links are gathered at a time: some 50,000 links, 600 kB.
LINKED_AT_A_TIME = 16
# The k-th highest of all is at least the k-th highest of so many columns' maxima for each of k places.
COLUMNS_PER_PLACE = 4
# What rounding may add to a bound, of its size: sums of 128 products in single precision are off by 1e-6.
SLACK = 1e-5


class ManyRanked:
    """Ranks for many users of one model; immutable, so that threads may share it."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._folded = ManyFolded(model)
        links = model.links.matrix
        linked = np.bincount(links.indices, minlength=model.size) > 0
        lengths = np.linalg.norm(model.item_factors.astype(np.float64), axis=1)
        # Position in the model of each place, and the other way round.
        self._positions = np.lexsort((-lengths, ~linked))
        self._places = np.empty_like(self._positions)
        self._places[self._positions] = np.arange(model.size)
        self._factors = model.item_factors[self._positions]
        # Whole blocks after the head, which takes what is over.
        head = min(model.size, max(HEAD, int(linked.sum())))
        self._head = head + (model.size - head) % TAIL
        tail = lengths[self._positions][self._head :]
        self._tail_lengths = tail.reshape(-1, TAIL).max(axis=1, initial=0).astype(np.float32)
        places = self._places[links.indices]
        self._links = csr_matrix((links.data, places, links.indptr), shape=(model.size, self._head))

    def recommend(self, user_items: csr_matrix, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rank as ``recommend_many`` does."""
        if np.any(user_items.data == 0) or not np.isfinite(user_items.data).all():
            raise InvalidHistoryError("a weight is 0 or not finite: an explicit zero would count as seen")
        users = user_items.shape[0]
        ranked = np.full((users, n), NO_ITEM, dtype=np.int64)
        best_scores = np.zeros((users, n), dtype=np.float32)
        factors = self._folded.factors(user_items)
        known = factors.any(axis=1)
        for row in np.flatnonzero(~known):
            values = self._model.popularity.copy()
            values[user_items.indices[user_items.indptr[row] : user_items.indptr[row + 1]]] = -np.inf
            best = highest(values, n)
            ranked[row, : len(best)], best_scores[row, : len(best)] = best, values[best]
        with_taste = np.flatnonzero(known)
        block = max(1, SCORES_AT_A_TIME // self._head)
        for start in range(0, len(with_taste), block):
            some = with_taste[start : start + block]
            rows = user_items if len(some) == users else user_items[some]
            ranked[some], best_scores[some] = self._rank(factors[some], rows, n)
        return ranked, best_scores

    def scores(self, rows: csr_matrix) -> NDArray[np.float32]:
        """Score as ``score_rows`` does."""
        factors = self._folded.factors(rows)
        scores: NDArray[np.float32] = factors @ self._factors.T
        self._add_links(scores[:, : self._head], rows)
        scores = scores[:, self._places]
        scores[~factors.any(axis=1)] = self._model.popularity
        return scores

    def _add_links(self, scores: NDArray[np.float32], rows: csr_matrix) -> None:
        """Add to ``scores`` [B, head] what the links of each user's events lead to."""
        if not self._links.nnz:
            return
        values = event_values(rows.data, self._model.links.slope)
        for start in range(0, rows.shape[0], LINKED_AT_A_TIME):
            bounds = rows.indptr[start : start + LINKED_AT_A_TIME + 1]
            events = slice(bounds[0], bounds[-1])
            links = self._links[rows.indices[events]]
            links.data *= np.repeat(values[events], np.diff(links.indptr))
            # The rows of a user's events laid end to end are one row that names some places twice.
            offsets = links.indptr[bounds - bounds[0]]
            part = csr_matrix((links.data, links.indices, offsets), (len(bounds) - 1, self._head))
            scores[start : start + LINKED_AT_A_TIME] += part.toarray()

    def _rank(
        self, factors: NDArray[np.float32], rows: csr_matrix, n: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return positions and scores [B, n] of users with ``factors`` [B, F] and events ``rows`` [B, I]."""
        users = len(factors)
        seen_by = np.repeat(np.arange(users), np.diff(rows.indptr))
        seen = self._places[rows.indices]
        head = factors @ self._factors[: self._head].T
        self._add_links(head, rows)
        in_head = seen < self._head
        head[seen_by[in_head], seen[in_head]] = -np.inf
        bounds = _bounds(head, n)[:, None]
        owners, places = _reaching(head, bounds)
        found = [(owners, places, head[owners, places])]
        longest = np.linalg.norm(factors, axis=1)[:, None] * self._tail_lengths
        in_reach = longest + SLACK * (longest + np.abs(bounds)) >= bounds
        row_of = np.empty(users, dtype=np.int64)
        for block in np.flatnonzero(in_reach.any(axis=0)):
            some = np.flatnonzero(in_reach[:, block])
            first = self._head + block * TAIL
            scores = factors[some] @ self._factors[first : first + TAIL].T
            row_of[:] = -1
            row_of[some] = np.arange(len(some))
            here = np.flatnonzero((seen >= first) & (seen < first + TAIL) & (row_of[seen_by] >= 0))
            scores[row_of[seen_by[here]], seen[here] - first] = -np.inf
            owners, places = _reaching(scores, bounds[some])
            found.append((some[owners], places + first, scores[owners, places]))
        owners, places, best = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return _lists(users, n, owners, self._positions[places], best)


def recommend_many(
    model: Model, user_items: csr_matrix, n: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rank for every row of ``user_items`` as ``model.recommend`` would for that history.

    ``user_items`` is a [U, I] matrix of weights, its columns positions in ``model.item_ids``; every stored
    entry counts as seen. Returns positions int64[U, n], NO_ITEM where a user has fewer unseen items, and
    scores float32[U, n], 0 there. Raises InvalidHistoryError for a weight that is 0 or not finite. Who ranks
    part by part makes one ManyRanked of the model.
    """
    return ManyRanked(model).recommend(user_items, n)


def score_rows(model: Model, rows: csr_matrix) -> NDArray[np.float32]:
    """Return float32[U, I]: every item's score for each row of ``rows`` [U, I] of weights, seen ones too."""
    return ManyRanked(model).scores(rows)


def rank_rows(
    scores: NDArray[np.float32], seen: csr_matrix, n: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the top ``n`` of each row of ``scores`` float32[U, I] that ``seen`` [U, I] does not store.

    The result has the form of ``recommend_many``.
    """
    users = scores.shape[0]
    values = np.array(scores, dtype=np.float32)
    values[np.repeat(np.arange(users), np.diff(seen.indptr)), seen.indices] = -np.inf
    owners, items = _reaching(values, _bounds(values, n)[:, None])
    return _lists(users, n, owners, items, values[owners, items])


def _bounds(scores: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    """Return float32[B] that at least n of each row of ``scores`` [B, M] reach, if so many are above -inf."""
    users, items = scores.shape
    lowest = np.finfo(np.float32).min
    depth = items // (n * COLUMNS_PER_PLACE)
    maxima = scores
    if depth > 1:
        columns = items // depth
        maxima = scores[:, : depth * columns].reshape(users, depth, columns).max(axis=1)
    last = maxima.shape[1] - n
    if last <= 0:
        return np.full(users, lowest)
    # The lowest number is below every score but -inf.
    bounds: NDArray[np.float32] = np.maximum(np.partition(maxima, last, axis=1)[:, last], lowest)
    return bounds


def _reaching(
    scores: NDArray[np.float32], bounds: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows and columns of the ``scores`` [B, M] that are at least ``bounds`` [B, 1]."""
    # By one number: finding pairs takes ten times as long.
    return np.divmod(np.flatnonzero(scores >= bounds), scores.shape[1])


def _lists(
    users: int, n: int, owners: NDArray[np.int64], items: NDArray[np.int64], scores: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the n highest of each user's candidates in the form of ``recommend_many``."""
    order = np.lexsort((items, -scores, owners))
    owners, items, scores = owners[order], items[order], scores[order]
    ranks = np.arange(len(owners)) - np.searchsorted(owners, np.arange(users))[owners]
    listed = ranks < n
    ranked = np.full((users, n), NO_ITEM, dtype=np.int64)
    best_scores = np.zeros((users, n), dtype=np.float32)
    ranked[owners[listed], ranks[listed]] = items[listed]
    best_scores[owners[listed], ranks[listed]] = scores[listed]
    return ranked, best_scores
