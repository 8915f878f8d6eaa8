"""The model as callers use it: recommendations, scores, explanations and similar items."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dataflix_recommender.algorithms.top_k import top_k
from dataflix_recommender.data.history import History
from dataflix_recommender.errors import UnknownItemError
from dataflix_recommender.lists.reranker import Reranker
from dataflix_recommender.model_data import ModelData
from dataflix_recommender.user_profile import Recommendation, UserProfile


class Model(ModelData):
    """A trained model that ranks, scores and explains; see ``ModelData`` for its parts.

    It is immutable, so threads may share it. ``Model.load(path)`` opens an artifact.
    """

    def user_profile(self, history: History) -> UserProfile:
        """Return the profile of a user, for several questions about one history."""
        return UserProfile(self, history)

    def fold_in(self, history: History) -> NDArray[np.float32]:
        """Return the user's factors float32[F], zero without a positive event of a known item."""
        return self.user_profile(history).folded.factors

    def scores(self, history: History) -> NDArray[np.float32]:
        """Return the score of each item, float32[I]; all 0 without a positive event of a known item."""
        return self.user_profile(history).scores

    def recommend(
        self,
        history: History,
        n: int,
        *,
        exclude: Iterable[int] = (),
        eligible: NDArray[np.bool_] | None = None,
        explain: bool = True,
        reranker: Reranker | None = None,
    ) -> list[Recommendation]:
        """Return the best ``min(n, eligible)`` items that are not in the history.

        Args:
            history: What the user watched and rated.
            n: The length of the list, at least 1.
            exclude: Ids of items to leave out.
            eligible: bool[I], the items that may be in the list; None allows all.
            explain: Whether each recommendation has a reason.
            reranker: Orders the list by more than scores; None orders it by score.

        Raises:
            ValueError: ``n`` is less than 1, or ``eligible`` has another shape or type.
        """
        profile = self.user_profile(history)
        return profile.recommend(n, profile.eligible(exclude, eligible), explain=explain, reranker=reranker)

    def contributions(self, history: History, item_ids: ArrayLike) -> NDArray[np.float64]:
        """Return float64[T, n]: how much each event of ``history`` adds to the score of each item.

        A row sums to the score, less what the item's recent popularity adds. An event that is negative or of
        an unknown item adds nothing by itself: a dislike changes the system that is solved for the positive
        events.

        Raises:
            UnknownItemError: The model does not know one of ``item_ids``.
        """
        targets = self.positions(item_ids)
        if np.any(targets < 0):
            raise UnknownItemError(int(np.asarray(item_ids)[targets < 0][0]))
        profile = self.user_profile(history)
        result = np.zeros((len(targets), len(history)))
        result[:, profile.positive_events] = profile.contributions(targets)
        return result

    def similar(
        self, item_id: int, n: int, eligible: NDArray[np.bool_] | None = None
    ) -> list[tuple[int, float]]:
        """Return up to ``n`` pairs (item_id, cosine) of the items nearest to an item, nearest first.

        An item without factors, of which nothing is known, has no neighbours and is not a neighbour.

        Args:
            item_id: The item.
            n: The length of the list, at least 1.
            eligible: bool[I], the items that may be in the list; None allows all.

        Raises:
            UnknownItemError: The model does not know ``item_id``.
            ValueError: ``n`` is less than 1.
        """
        position = int(self.positions([item_id])[0])
        if position < 0:
            raise UnknownItemError(item_id)
        allowed = self.item_norms > 0
        if not allowed[position]:
            return []
        products = self.item_factors @ self.item_factors[position]
        cosines = products / np.where(allowed, self.item_norms * self.item_norms[position], 1)
        allowed[position] = False
        return self._pairs(cosines, n, allowed, eligible)

    def popular(self, n: int, eligible: NDArray[np.bool_] | None = None) -> list[tuple[int, float]]:
        """Return up to ``n`` pairs (item_id, Bayesian mean) of rated and eligible items, highest first.

        Where nobody rates, they are (item_id, number of users who did something with the item).
        """
        if not self.catalogue.is_rated:
            counts = self.catalogue.events_counts.astype(np.float32)
            return self._pairs(counts, n, counts > 0, eligible)
        rated = self.catalogue.ratings_counts > 0
        return self._pairs(self.catalogue.bayesian_means, n, rated, eligible)

    def trending(self, n: int, eligible: NDArray[np.bool_] | None = None) -> list[tuple[int, float]]:
        """Return up to ``n`` pairs (item_id, score) of eligible items that trend, highest first."""
        scores = self.catalogue.trending_scores
        return self._pairs(scores, n, scores > 0, eligible)

    def _pairs(
        self,
        scores: NDArray[np.float32],
        n: int,
        allowed: NDArray[np.bool_],
        eligible: NDArray[np.bool_] | None,
    ) -> list[tuple[int, float]]:
        best = top_k(scores, n, allowed if eligible is None else allowed & eligible)
        return list(zip(self.item_ids[best].tolist(), scores[best].tolist(), strict=True))
