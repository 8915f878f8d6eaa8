"""The model: item factors and everything needed to serve from them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix

from dataflix_recommender.artifact import MANIFEST, read_array, read_manifest, write_artifact
from dataflix_recommender.catalogue import NUMBERS, ItemCatalogue
from dataflix_recommender.errors import ArtifactError, InvalidModelError, UnknownMovieError
from dataflix_recommender.explanation import MAX_BECAUSE, Because, Reason, history_reason, popularity_reason
from dataflix_recommender.foldin import FoldedUser, fold_in
from dataflix_recommender.history import History
from dataflix_recommender.info import ModelInfo
from dataflix_recommender.links import ARRAYS as LINK_ARRAYS
from dataflix_recommender.links import ItemLinks
from dataflix_recommender.packed import PackedStrings
from dataflix_recommender.popularity import Popularity
from dataflix_recommender.ranking import top_k
from dataflix_recommender.rerank import Choose, Traits
from dataflix_recommender.weights import ConfidenceWeights

CATALOGUE_COLUMNS = ("genre_codes", "genre_offsets", *NUMBERS)


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One film of a ranked list; ``rank`` starts at 1, ``reason`` is None unless asked for."""

    movie_id: int
    score: float
    rank: int
    reason: Reason | None


class Model:
    """Scores, ranks and explains; immutable, so that threads may share it.

    ``item_ids`` int64[I] ascending and unique, ``item_factors`` float32[I, F], ``catalogue`` of I films in
    the same order, ``weights`` the definition of confidence, ``gram`` float64[F, F] = Y'Y (computed when not
    given), ``links`` the item-item part of the score (none when not given). Raises InvalidModelError when
    they do not fit together.
    """

    def __init__(
        self,
        info: ModelInfo,
        item_ids: NDArray[np.int64],
        item_factors: NDArray[np.float32],
        catalogue: ItemCatalogue,
        weights: ConfidenceWeights,
        *,
        gram: NDArray[np.float64] | None = None,
        links: ItemLinks | None = None,
    ) -> None:
        items = len(item_ids)
        if items == 0:
            raise InvalidModelError("a model needs at least one item")
        if item_ids.ndim != 1 or np.any(np.diff(item_ids) <= 0):
            raise InvalidModelError("item_ids are not sorted and unique")
        if item_factors.shape != (items, info.factors) or item_factors.dtype != np.float32:
            raise InvalidModelError(
                f"item_factors must be float32[{items}, {info.factors}], got "
                f"{item_factors.dtype}{list(item_factors.shape)}"
            )
        if not np.isfinite(item_factors).all():
            raise InvalidModelError("item_factors hold NaN or infinite values")
        if len(catalogue) != items or info.n_items != items:
            raise InvalidModelError(
                f"{items} items, but the catalogue has {len(catalogue)} and the info says {info.n_items}"
            )
        if gram is None:
            wide = item_factors.astype(np.float64)
            gram = wide.T @ wide
        if gram.shape != (info.factors, info.factors):
            raise InvalidModelError(f"gram must be [{info.factors}, {info.factors}], got {list(gram.shape)}")
        links = ItemLinks.none(items) if links is None else links
        if len(links) != items:
            raise InvalidModelError(f"{items} items, but the links are between {len(links)}")
        self.info = info
        self.item_ids = item_ids
        self.item_factors = item_factors
        self.catalogue = catalogue
        self.weights = weights
        self.gram = gram
        self.links = links
        self._norms = np.linalg.norm(item_factors, axis=1)
        self._popularity = Popularity.of(catalogue)

    @property
    def size(self) -> int:
        """Number of items."""
        return len(self.item_ids)

    @property
    def popularity(self) -> NDArray[np.float32]:
        """Scores float32[I] in 0..1 that rank for somebody whose taste is not known, mixed by genre."""
        return self._popularity.mixed

    @property
    def traits(self) -> Traits:
        """What reranking looks at."""
        return Traits(self.catalogue, self.item_factors, self._norms, self._popularity.blend)

    def save(self, path: Path) -> None:
        """Write the artifact directory ``path`` at once; raises ArtifactError when it exists already."""
        arrays: dict[str, NDArray[Any]] = {
            "item_ids": self.item_ids,
            "item_factors": self.item_factors,
            "gram": self.gram,
            "weights": self.weights.rows,
            "titles": self.catalogue.titles.data,
            "title_offsets": self.catalogue.titles.offsets,
        }
        arrays |= {name: getattr(self.catalogue, name) for name in CATALOGUE_COLUMNS}
        arrays |= self.links.arrays
        header = {"info": self.info.to_dict(), "genre_names": list(self.catalogue.genre_names)}
        write_artifact(path, arrays, header)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Open the artifact at ``path``, memory-mapped; raises ArtifactError naming file and reason."""
        manifest = read_manifest(path)
        try:
            info = ModelInfo.from_dict(manifest["info"])
            genre_names = tuple(manifest["genre_names"])
        except (KeyError, TypeError, ValueError, InvalidModelError) as error:
            raise ArtifactError(path / MANIFEST, f"has no usable info: {error!r}") from error

        def array(name: str) -> NDArray[Any]:
            return read_array(path, name, manifest)

        try:
            catalogue = ItemCatalogue(
                titles=PackedStrings(array("titles"), array("title_offsets")),
                genre_names=genre_names,
                **{name: array(name) for name in CATALOGUE_COLUMNS},
            )
            weights = ConfidenceWeights(array("weights"))
            links = ItemLinks(*map(array, LINK_ARRAYS), slope=info.link_slope)
            factors, gram = array("item_factors"), array("gram")
            return cls(info, array("item_ids"), factors, catalogue, weights, gram=gram, links=links)
        except InvalidModelError as error:
            raise ArtifactError(path, str(error)) from error

    def positions(self, movie_ids: ArrayLike) -> NDArray[np.int64]:
        """Return the position of each movie id, -1 for those the model does not know."""
        wanted = np.asarray(movie_ids, dtype=np.int64)
        found = np.minimum(np.searchsorted(self.item_ids, wanted), self.size - 1)
        return np.where(self.item_ids[found] == wanted, found, -1)

    def fold_in(self, history: History) -> NDArray[np.float32]:
        """Return the user's factors, float32[F]; zero when no positive event is of a film the model knows."""
        return self._fold(history, self.positions(history.movie_ids)).factor

    def scores(self, history: History) -> NDArray[np.float32]:
        """Return float32[I], the score of every item; all 0 without a positive event of a known film."""
        positions = self.positions(history.movie_ids)
        return self._scores(self._fold(history, positions), history, positions)

    def confidences(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the confidences float32[n] of the n events of one user, whose weights are given."""
        scale = self.info.alpha * self.info.activity_scale(len(weights))
        return np.float32(scale) * weights.astype(np.float32)

    def eligible(
        self, history: History, exclude: Iterable[int] = (), passing: NDArray[np.bool_] | None = None
    ) -> NDArray[np.bool_]:
        """Return bool[I]: the films that pass, are not of the history and not excluded."""
        return self._allowed(self.positions(history.movie_ids), exclude, passing)

    def recommend(
        self,
        history: History,
        n: int,
        *,
        exclude: Iterable[int] = (),
        eligible: NDArray[np.bool_] | None = None,
        explain: bool = True,
        choose: Choose = top_k,
    ) -> list[Recommendation]:
        """Return the best ``min(n, allowed)`` films, never one of the history nor of ``exclude``.

        ``eligible`` bool[I], aligned with ``item_ids``, restricts the films further. ``choose`` says what is
        best: by itself the highest score. A history without a positive event of a known film gives the
        popular and trending ones. Raises ValueError for n < 1 or an
        ``eligible`` of another shape.
        """
        positions = self.positions(history.movie_ids)
        allowed = self._allowed(positions, exclude, eligible)
        folded = self._fold(history, positions)
        if not folded.factor.any():
            return self._popular_recommendations(n, allowed, choose, explain=explain)
        scores = self._scores(folded, history, positions)
        best = choose(scores, n, allowed)
        reasons: list[Reason] | list[None]
        reasons = self._reasons(history, positions, folded, best) if explain else [None] * len(best)
        return self._list(best, scores, reasons)

    def contributions(self, history: History, movie_ids: ArrayLike) -> NDArray[np.float64]:
        """Return float64[T, n]: how much each event of ``history`` adds to the score of each movie.

        A row sums to the score. Events that are negative or of unknown films add nothing of their own: a
        dislike bends the system that the positive ones are solved in. Raises UnknownMovieError.
        """
        targets = self.positions(movie_ids)
        if np.any(targets < 0):
            raise UnknownMovieError(int(np.asarray(movie_ids)[targets < 0][0]))
        positions = self.positions(history.movie_ids)
        result = np.zeros((len(targets), len(history)))
        positive = self._contributions(self._fold(history, positions), history, positions, targets)
        result[:, self._positive_events(history, positions)] = positive
        return result

    def similar(self, movie_id: int, n: int) -> list[tuple[int, float]]:
        """Return up to ``n`` (movie_id, cosine) nearest to a film, itself left out, nearest first.

        Films that nobody has rated or watched have no factors: they are nobody's neighbour, and have none.
        Raises UnknownMovieError, and ValueError for n < 1.
        """
        position = int(self.positions([movie_id])[0])
        if position < 0:
            raise UnknownMovieError(movie_id)
        allowed = self._norms > 0
        if not allowed[position]:
            return []
        products = self.item_factors @ self.item_factors[position]
        cosines = products / np.where(allowed, self._norms * self._norms[position], 1)
        allowed[position] = False
        return self._pairs(cosines, n, allowed)

    def popular(self, n: int) -> list[tuple[int, float]]:
        """Return up to ``n`` rated films as (movie_id, Bayesian mean), highest first."""
        return self._pairs(self.catalogue.bayesian_means, n, self.catalogue.ratings_counts > 0)

    def trending(self, n: int) -> list[tuple[int, float]]:
        """Return up to ``n`` films that have a trending score, as (movie_id, score), highest first."""
        return self._pairs(self.catalogue.trending_scores, n, self.catalogue.trending_scores > 0)

    def _positive_events(self, history: History, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        return (positions >= 0) & (history.weights > 0)

    def _fold(self, history: History, positions: NDArray[np.int64]) -> FoldedUser:
        known = positions >= 0
        confidences = self.confidences(history.weights[known])
        return fold_in(self.item_factors[positions[known]], confidences, self.gram, self.info.regularization)

    def _scores(
        self, folded: FoldedUser, history: History, positions: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = self.item_factors @ folded.factor
        if self.links.matrix.nnz:
            known = np.flatnonzero(positions >= 0)
            row = (history.weights[known], positions[known], np.array([0, len(known)]))
            scores += self.links.scores(csr_matrix(row, shape=(1, self.size)))[0]
        return scores

    def _contributions(
        self,
        folded: FoldedUser,
        history: History,
        positions: NDArray[np.int64],
        targets: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Return float64[T, P]: what each positive event adds to the score of each target."""
        positive = self._positive_events(history, positions)
        shares = folded.contributions(self.item_factors[targets])
        if self.links.matrix.nnz:
            shares += self.links.contributions(positions[positive], history.weights[positive], targets)
        return shares

    def _allowed(
        self, seen: NDArray[np.int64], exclude: Iterable[int], eligible: NDArray[np.bool_] | None
    ) -> NDArray[np.bool_]:
        if eligible is None:
            allowed = np.ones(self.size, dtype=np.bool_)
        elif eligible.shape == (self.size,) and eligible.dtype == np.bool_:
            allowed = eligible.copy()
        else:
            raise ValueError(
                f"eligible must be bool[{self.size}], got {eligible.dtype}{list(eligible.shape)}"
            )
        excluded = self.positions(np.fromiter(exclude, dtype=np.int64))
        for taken in (seen, excluded):
            allowed[taken[taken >= 0]] = False
        return allowed

    def _reasons(
        self, history: History, positions: NDArray[np.int64], folded: FoldedUser, best: NDArray[np.int64]
    ) -> list[Reason]:
        shares = self._contributions(folded, history, positions, best)
        events = np.flatnonzero(self._positive_events(history, positions))
        leading = np.argsort(-shares, axis=1, kind="stable")[:, :MAX_BECAUSE]
        reasons = []
        for row, columns in zip(shares, leading, strict=True):
            because = [
                self._because(history, int(events[c]), int(positions[events[c]]), float(row[c]))
                for c in columns
                if row[c] > 0
            ]
            other = float(row.sum()) - sum(item.contribution for item in because)
            reasons.append(history_reason(because, other))
        return reasons

    def _because(self, history: History, event: int, position: int, contribution: float) -> Because:
        rating = float(history.ratings[event])
        title = self.catalogue.title(position)
        seen = int(history.movie_ids[event])
        return Because(seen, title, None if np.isnan(rating) else rating, contribution)

    def _popular_recommendations(
        self, n: int, allowed: NDArray[np.bool_], choose: Choose, *, explain: bool
    ) -> list[Recommendation]:
        best = choose(self.popularity, n, allowed)
        reasons = [
            popularity_reason(
                trending=bool(self._popularity.is_trending[i]),
                ratings_count=int(self.catalogue.ratings_counts[i]),
                mean_rating=self.catalogue.mean_rating(i),
            )
            if explain
            else None
            for i in best.tolist()
        ]
        return self._list(best, self.popularity, reasons)

    def _list(
        self, best: NDArray[np.int64], scores: NDArray[np.float32], reasons: Iterable[Reason | None]
    ) -> list[Recommendation]:
        pairs = zip(self.item_ids[best].tolist(), scores[best].tolist(), reasons, strict=True)
        return [
            Recommendation(movie, score, rank, reason) for rank, (movie, score, reason) in enumerate(pairs, 1)
        ]

    def _pairs(
        self, scores: NDArray[np.float32], n: int, allowed: NDArray[np.bool_]
    ) -> list[tuple[int, float]]:
        best = top_k(scores, n, allowed)
        return list(zip(self.item_ids[best].tolist(), scores[best].tolist(), strict=True))
