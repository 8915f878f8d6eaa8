"""One user under one model: folded-in factors, scores, recommendations and their reasons."""

from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dataflix_recommender.algorithms.fold_in import FoldedUser, fold_in
from dataflix_recommender.algorithms.top_k import top_k, top_k_columns
from dataflix_recommender.data.history import History
from dataflix_recommender.data.item_item_weights import ItemItemRows
from dataflix_recommender.lists.explanation import (
    MAX_CONTRIBUTIONS,
    Contribution,
    Reason,
    history_reason,
    popularity_reason,
)
from dataflix_recommender.lists.reranker import Reranker
from dataflix_recommender.model_data import ModelData


class Recommendation(NamedTuple):
    """One item of a list.

    Attributes:
        item_id: The item.
        score: The model's score.
        rank: The place in the list, from 1.
        reason: Why the item is recommended, None unless asked for.
    """

    item_id: int
    score: float
    rank: int
    reason: Reason | None


class UserProfile:
    """A history of n events under a model. Factors and scores are computed once, when first needed.

    Attributes:
        positions: int64[n], the positions of the events' items, -1 for items that the model does not know.
        positive_events: int64[P], the indices of the positive events of known items.
    """

    def __init__(self, model: ModelData, history: History) -> None:
        self._model = model
        self._history = history
        self.positions: NDArray[np.int64] = model.positions(history.item_ids)
        self.positive_events: NDArray[np.int64] = np.flatnonzero(
            (self.positions >= 0) & (history.weights > 0)
        )

    @cached_property
    def folded(self) -> FoldedUser:
        """The user's factors, zero without a positive event of a known item."""
        model = self._model
        known = self.positions >= 0
        weights = self._history.weights[known]
        confidences = np.float32(model.info.confidence_scale(len(weights))) * weights
        factors = model.item_factors[self.positions[known]]
        return fold_in(factors, confidences, model.gram, model.info.regularization)

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """The score of each item, float32[I]; all 0 without a positive event of a known item."""
        return self._score(slice(None))

    @property
    def unknown_item_ids(self) -> NDArray[np.int64]:
        """The items of the history that the model does not know, ascending."""
        return np.sort(self._history.item_ids[self.positions < 0])

    def eligible(
        self, exclude: Iterable[int] = (), passing: NDArray[np.bool_] | None = None
    ) -> NDArray[np.bool_]:
        """Return bool[I]: the items that pass, are not in the history and are not excluded.

        Args:
            exclude: Ids of items to leave out.
            passing: bool[I], the items that pass; None passes all.

        Raises:
            ValueError: ``passing`` has another shape or type.
        """
        size = self._model.size
        if passing is None:
            allowed = np.ones(size, dtype=np.bool_)
        elif passing.shape == (size,) and passing.dtype == np.bool_:
            allowed = passing.copy()
        else:
            raise ValueError(f"eligible must be bool[{size}], got {passing.dtype}{list(passing.shape)}")
        excluded = np.fromiter(exclude, dtype=np.int64)
        for taken in (self.positions, self._model.positions(excluded)):
            allowed[taken[taken >= 0]] = False
        return allowed

    def recommend(
        self,
        n: int,
        eligible: NDArray[np.bool_],
        *,
        explain: bool = True,
        reranker: Reranker | None = None,
    ) -> list[Recommendation]:
        """Return the best ``min(n, eligible)`` eligible items.

        A history without a positive event of a known item gives popular and trending items.

        Args:
            n: The length of the list, at least 1.
            eligible: bool[I], the items that may be in the list; see ``eligible``.
            explain: Whether each recommendation has a reason.
            reranker: Orders the list by more than scores; None orders it by score.

        Raises:
            ValueError: ``n`` is less than 1.
        """
        by_score = reranker is None or reranker.is_neutral
        has_factors = self.folded.factors.any()
        if has_factors and by_score:
            best, scores = self._top_k(n, eligible)
        else:
            all_scores = self.scores if has_factors else self._model.popularity
            if reranker is None or by_score:
                best = top_k(all_scores, n, eligible)
            else:
                best = reranker.select(all_scores, n, eligible)
            scores = all_scores[best]
        reasons: list[Reason] | list[None] = [None] * len(best)
        if explain:
            reasons = self._history_reasons(best) if has_factors else self._popularity_reasons(best)
        rows = zip(self._model.item_ids[best].tolist(), scores.tolist(), reasons, strict=True)
        return [
            Recommendation(item_id, score, rank, reason)
            for rank, (item_id, score, reason) in enumerate(rows, 1)
        ]

    def contributions(self, targets: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return float64[T, P]: what each positive event adds to the score of each target position.

        Recent popularity adds the rest.
        """
        shares = self.folded.contributions(self._model.item_factors[targets])
        if self._item_item is not None:
            shares += self._item_item.contributions(targets)
        return shares

    def _top_k(self, n: int, eligible: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the positions of ``top_k`` and their scores, without scoring items that are pruned."""
        candidates = None
        # Scores that are cached already make pruning needless.
        if n > 0 and "scores" not in vars(self):
            pruner = self._model.pruner
            candidates = pruner.candidates(self.folded.factors, self._added_scores, n, eligible, self._score)
        if candidates is None:
            best = top_k(self.scores, n, eligible)
            return best, self.scores[best]
        scores = self._score(candidates)
        # Candidates ascend, so equal scores stay in the order of their positions.
        best = top_k(scores, n)
        return candidates[best], scores[best]

    def _score(self, positions: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the scores of these positions; an item's score is the same to the bit in any selection.

        Therefore it is one dot product for each item: a product with the matrix sums in blocks of rows.
        """
        scores: NDArray[np.float32] = np.vecdot(self._model.item_factors[positions], self.folded.factors)
        if self._added_scores is not None:
            scores += self._added_scores[positions]
        return scores

    @cached_property
    def _added_scores(self) -> NDArray[np.float32] | None:
        """What the other parts of the model add to the product of factors, float32[I]; None for nothing."""
        popularity = self._popularity_scores
        item_item = None if self._item_item is None else self._item_item.scores()
        if popularity is None:
            return item_item
        return popularity if item_item is None else item_item + popularity

    @cached_property
    def _popularity_scores(self) -> NDArray[np.float32] | None:
        """What recent popularity adds to each item's score, float32[I]; None for nothing."""
        recent, last_at = self._model.recent_popularity, self._history.last_at
        events = np.array([np.count_nonzero(self.positions >= 0)])
        strength = recent.strengths(events, None if last_at is None else np.array([last_at]))[0]
        # A user without a positive event has a list of popular items already.
        if not strength or not len(self.positive_events):
            return None
        added: NDArray[np.float32] = strength * recent.values
        return added

    @cached_property
    def _item_item(self) -> ItemItemRows | None:
        weights, events = self._model.item_item_weights, self.positive_events
        if not weights.matrix.nnz:
            return None
        return weights.rows_of(self.positions[events], self._history.weights[events])

    def _history_reasons(self, best: NDArray[np.int64]) -> list[Reason]:
        shares = self.contributions(best)
        columns, values = top_k_columns(shares, MAX_CONTRIBUTIONS)
        events = self.positive_events[columns].tolist()
        # The same few items of a history explain most of a list: look each of them up once.
        described = {event: self._describe(event) for event in {event for row in events for event in row}}
        popularity = np.zeros(len(best)) if self._popularity_scores is None else self._popularity_scores[best]
        reasons = []
        sums = zip(shares.sum(axis=1).tolist(), popularity.tolist(), strict=True)
        for row, parts, (score, popular) in zip(events, values.tolist(), sums, strict=True):
            contributions = [
                Contribution(*described[event], part)
                for event, part in zip(row, parts, strict=True)
                if part > 0
            ]
            remainder = score - sum(contribution.value for contribution in contributions)
            reasons.append(history_reason(contributions, remainder, popular))
        return reasons

    def _describe(self, event: int) -> tuple[int, str, float | None]:
        """Return the item id and the title of an event, and its rating, None for an item only watched."""
        rating = self._history.ratings.item(event)
        title = self._model.catalogue.title(self.positions.item(event))
        # NaN, for an item that was only watched, is the one value that differs from itself.
        return self._history.item_ids.item(event), title, rating if rating == rating else None  # noqa: PLR0124

    def _popularity_reasons(self, best: NDArray[np.int64]) -> list[Reason]:
        catalogue = self._model.catalogue
        is_rated = catalogue.is_rated
        return [
            popularity_reason(
                trending=bool(self._model.fallback.is_trending[i]),
                ratings_count=int(catalogue.ratings_counts[i]),
                mean_rating=catalogue.mean_rating(i),
                users_count=None if is_rated else int(catalogue.events_counts[i]),
            )
            for i in best.tolist()
        ]
