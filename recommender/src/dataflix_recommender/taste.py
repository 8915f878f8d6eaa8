"""What a model makes of one history: the user's factors, a score for every film, a list, and its reasons."""

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dataflix_recommender.explanation import MAX_BECAUSE, Because, Reason, history_reason, popularity_reason
from dataflix_recommender.foldin import FoldedUser, fold_in
from dataflix_recommender.history import History
from dataflix_recommender.links import LinkedEvents
from dataflix_recommender.ranking import top_k
from dataflix_recommender.rerank import Choose

if TYPE_CHECKING:
    from dataflix_recommender.model import Model


class Recommendation(NamedTuple):
    """One film of a ranked list; ``rank`` starts at 1, ``reason`` is None unless asked for."""

    movie_id: int
    score: float
    rank: int
    reason: Reason | None


class Taste:
    """One history of n events under one model; each part is worked out when first asked for, and kept.

    ``positions`` int64[n] are those of the events' films in the model, -1 for films it does not know;
    ``positive_events`` int64[P] are places in the history: the events that speak for something.
    """

    def __init__(self, model: "Model", history: History) -> None:
        self._model = model
        self._history = history
        self.positions: NDArray[np.int64] = model.positions(history.movie_ids)
        self.positive_events: NDArray[np.int64] = np.flatnonzero(
            (self.positions >= 0) & (history.weights > 0)
        )

    @cached_property
    def folded(self) -> FoldedUser:
        """The user's factors; zero without a positive event of a known film."""
        model = self._model
        known = self.positions >= 0
        confidences = model.confidences(self._history.weights[known])
        factors = model.item_factors[self.positions[known]]
        return fold_in(factors, confidences, model.gram, model.info.regularization)

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """Every film's score, float32[I]; all 0 without a positive event of a known film."""
        return self._scored(slice(None))

    def _scored(self, films: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the scores of some films; a film's is the same to the bit, whichever others are asked for.

        So it is a product for each film: one with the matrix adds up by blocks of rows.
        """
        scores: NDArray[np.float32] = np.vecdot(self._model.item_factors[films], self.folded.factor)
        if self._added is not None:
            scores += self._added[films]
        return scores

    @cached_property
    def _added(self) -> NDArray[np.float32] | None:
        """What links add to every film's score, float32[I]."""
        return None if self._linked is None else self._linked.scores()

    @property
    def ignored(self) -> NDArray[np.int64]:
        """The films of the history that the model does not know, ascending."""
        return np.sort(self._history.movie_ids[self.positions < 0])

    def eligible(
        self, exclude: Iterable[int] = (), passing: NDArray[np.bool_] | None = None
    ) -> NDArray[np.bool_]:
        """Return bool[I]: the films that pass, are not of the history and not excluded.

        Raises ValueError for a ``passing`` of another shape.
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
        self, n: int, eligible: NDArray[np.bool_], *, explain: bool = True, choose: Choose = top_k
    ) -> list[Recommendation]:
        """Return the best ``min(n, eligible)`` films that are ``eligible`` bool[I].

        ``choose`` says what is best: by itself the highest score. A history without a positive event of a
        known film gives the popular and trending ones. Raises ValueError for n < 1.
        """
        has_taste = self.folded.factor.any()
        if has_taste and choose is top_k:
            best, scores = self._best(n, eligible)
        else:
            everything = self.scores if has_taste else self._model.popularity
            best = choose(everything, n, eligible)
            scores = everything[best]
        reasons: list[Reason] | list[None] = [None] * len(best)
        if explain:
            reasons = self._history_reasons(best) if has_taste else self._popularity_reasons(best)
        pairs = zip(self._model.item_ids[best].tolist(), scores.tolist(), reasons, strict=True)
        return [
            Recommendation(movie, score, rank, reason) for rank, (movie, score, reason) in enumerate(pairs, 1)
        ]

    def _best(self, n: int, eligible: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return ``top_k`` of the scores, and these, without scoring films that cannot be among them."""
        among = None
        if n > 0 and "scores" not in vars(self):
            leading = self._model.leading
            among = leading.candidates(self.folded.factor, self._added, n, eligible, self._scored)
        if among is None:
            best = top_k(self.scores, n, eligible)
            return best, self.scores[best]
        scores = self._scored(among)
        # Positions ascend, so equal scores stay in their order, as in top_k.
        order = np.argsort(-scores, kind="stable")[:n]
        return among[order], scores[order]

    def contributions(self, targets: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return float64[T, P]: what each positive event adds to the score of each target position."""
        shares = self.folded.contributions(self._model.item_factors[targets])
        if self._linked is not None:
            shares += self._linked.contributions(targets)
        return shares

    @cached_property
    def _linked(self) -> LinkedEvents | None:
        links, events = self._model.links, self.positive_events
        if not links.matrix.nnz:
            return None
        return links.of_events(self.positions[events], self._history.weights[events])

    def _history_reasons(self, best: NDArray[np.int64]) -> list[Reason]:
        shares = self.contributions(best)
        leading, leaders = _leading(shares, MAX_BECAUSE)
        events = self.positive_events[leading].tolist()
        # The same few films of a history speak for most of a list.
        told = {event: self._told(event) for event in {event for row in events for event in row}}
        reasons = []
        for row, parts, whole in zip(events, leaders.tolist(), shares.sum(axis=1).tolist(), strict=True):
            because = [
                Because(*told[event], part) for event, part in zip(row, parts, strict=True) if part > 0
            ]
            reasons.append(history_reason(because, whole - sum(item.contribution for item in because)))
        return reasons

    def _told(self, event: int) -> tuple[int, str, float | None]:
        """Return the film of an event, its title, and its rating, None for what was only watched."""
        rating = self._history.ratings.item(event)
        title = self._model.catalogue.title(self.positions.item(event))
        # What was only watched has NaN, the one value that differs from itself.
        return self._history.movie_ids.item(event), title, rating if rating == rating else None  # noqa: PLR0124

    def _popularity_reasons(self, best: NDArray[np.int64]) -> list[Reason]:
        catalogue = self._model.catalogue
        return [
            popularity_reason(
                trending=bool(self._model.fallback.is_trending[i]),
                ratings_count=int(catalogue.ratings_counts[i]),
                mean_rating=catalogue.mean_rating(i),
            )
            for i in best.tolist()
        ]


def _leading(shares: NDArray[np.float64], most: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return places int64[T, m] and values float64[T, m] of the min(most, P) highest of each row [T, P].

    The highest come first, of equal ones the one that stands first. A pass for each is faster than sorting.
    """
    left = shares.copy()
    rows = np.arange(len(shares))
    places = np.empty((len(shares), min(most, shares.shape[1])), dtype=np.int64)
    for column in range(places.shape[1]):
        places[:, column] = left.argmax(axis=1)
        left[rows, places[:, column]] = -np.inf
    return places, np.take_along_axis(shares, places, axis=1)
