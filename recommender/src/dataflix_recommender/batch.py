"""Ranking for many users at once: evaluation and publishing get the lists of the code that serves one.

Films are in order of the length of their factors, and most are never multiplied: y x is at most |y| |x|, so
that a block of films cannot enter a list whose last place is above that and the block's strongest link.
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
# Films with the longest factors, scored for everybody, and those scored at a time after them.
HEAD = 2_048
TAIL = 1_024
# Users whose links are gathered at a time: some 160,000 links, 2 MiB.
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
        lengths = np.linalg.norm(model.item_factors.astype(np.float64), axis=1)
        # Position in the model of each place, and the other way round.
        self._positions = np.argsort(-lengths, kind="stable")
        self._places = np.empty_like(self._positions)
        self._places[self._positions] = np.arange(model.size)
        self._factors = model.item_factors[self._positions]
        # Whole blocks after the head, which takes what is over.
        self._head = min(model.size, HEAD + max(0, model.size - HEAD) % TAIL)
        self._tail_lengths = lengths[self._positions][self._head :: TAIL].astype(np.float32)
        links = model.links.matrix
        self._links = csr_matrix((links.data, self._places[links.indices], links.indptr), shape=links.shape)

    def recommend(self, user_items: csr_matrix, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rank as ``recommend_many`` does."""
        if np.any(user_items.data == 0) or not np.isfinite(user_items.data).all():
            raise InvalidHistoryError("a weight is 0 or not finite: an explicit zero would count as seen")
        users, size = user_items.shape[0], self._model.size
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
        block = max(1, SCORES_AT_A_TIME // size)
        added = np.empty((min(block, len(with_taste)), size), dtype=np.float32)
        for start in range(0, len(with_taste), block):
            some = with_taste[start : start + block]
            rows = user_items if len(some) == users else user_items[some]
            self._add_links(rows, added[: len(some)])
            ranked[some], best_scores[some] = self._rank(factors[some], added[: len(some)], n)
        return ranked, best_scores

    def scores(self, rows: csr_matrix) -> NDArray[np.float32]:
        """Score as ``score_rows`` does."""
        factors = self._folded.factors(rows)
        scores: NDArray[np.float32] = factors @ self._model.item_factors.T
        if self._links.nnz:
            added = np.empty_like(scores)
            self._add_links(rows, added, seen=False)
            scores += added[:, self._places]
        scores[~factors.any(axis=1)] = self._model.popularity
        return scores

    def _add_links(self, rows: csr_matrix, added: NDArray[np.float32], *, seen: bool = True) -> None:
        """Fill ``added`` [B, I] with what links add to each place; -inf where ``seen`` and the user has."""
        if self._links.nnz:
            values = event_values(rows.data, self._model.links.slope)
            for start in range(0, rows.shape[0], LINKED_AT_A_TIME):
                bounds = rows.indptr[start : start + LINKED_AT_A_TIME + 1]
                events = slice(bounds[0], bounds[-1])
                links = self._links[rows.indices[events]]
                links.data *= np.repeat(values[events], np.diff(links.indptr))
                # The rows of a user's events laid end to end are one row that names some places twice.
                offsets = links.indptr[bounds - bounds[0]]
                part = csr_matrix((links.data, links.indices, offsets), (len(bounds) - 1, rows.shape[1]))
                part.toarray(out=added[start : start + LINKED_AT_A_TIME])
        else:
            added[:] = 0
        if seen:
            owners = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
            added[owners, self._places[rows.indices]] = -np.inf

    def _rank(
        self, factors: NDArray[np.float32], added: NDArray[np.float32], n: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the top ``n``, positions and scores [B, n], of ``factors`` [B, F] and ``added`` [B, I]."""
        users = len(factors)
        head = factors @ self._factors[: self._head].T
        head += added[:, : self._head]
        bounds = _bounds(head, n)[:, None]
        owners, places = _reaching(head, bounds)
        found = [(owners, places, head[owners, places])]
        tail = added[:, self._head :].reshape(users, len(self._tail_lengths), TAIL)
        longest = np.linalg.norm(factors, axis=1)[:, None] * self._tail_lengths
        in_reach = tail.max(axis=2) + longest + SLACK * (longest + np.abs(bounds)) >= bounds
        for block in np.flatnonzero(in_reach.any(axis=0)):
            some = np.flatnonzero(in_reach[:, block])
            films = slice(self._head + block * TAIL, self._head + (block + 1) * TAIL)
            scores = factors[some] @ self._factors[films].T
            scores += tail[some, block]
            owners, places = _reaching(scores, bounds[some])
            found.append((some[owners], places + films.start, scores[owners, places]))
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
