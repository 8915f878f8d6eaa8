"""The model: item factors and everything needed to serve from them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dataflix_recommender.artifact import MANIFEST, read_array, read_manifest, write_artifact
from dataflix_recommender.catalogue import NUMBERS, ItemCatalogue
from dataflix_recommender.errors import ArtifactError, InvalidModelError, UnknownMovieError
from dataflix_recommender.history import History
from dataflix_recommender.info import ModelInfo
from dataflix_recommender.links import ARRAYS as LINK_ARRAYS
from dataflix_recommender.links import ItemLinks
from dataflix_recommender.packed import PackedStrings
from dataflix_recommender.popularity import Popularity
from dataflix_recommender.pruning import Leading
from dataflix_recommender.ranking import top_k
from dataflix_recommender.rerank import Choose, Traits
from dataflix_recommender.taste import Recommendation, Taste
from dataflix_recommender.weights import ConfidenceWeights

CATALOGUE_COLUMNS = ("genre_codes", "genre_offsets", *NUMBERS)


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
        if not np.isfinite(gram).all():
            raise InvalidModelError("gram holds NaN or infinite values")
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
        self.leading = Leading.of(item_factors, gram)
        self._norms = np.linalg.norm(item_factors, axis=1)
        self.fallback = Popularity.of(catalogue)

    @property
    def size(self) -> int:
        """Number of items."""
        return len(self.item_ids)

    @property
    def popularity(self) -> NDArray[np.float32]:
        """Scores float32[I] in 0..1 that rank for somebody whose taste is not known, mixed by genre."""
        return self.fallback.mixed

    @property
    def traits(self) -> Traits:
        """What reranking looks at."""
        return Traits(self.catalogue, self.item_factors, self._norms, self.fallback.blend)

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

    def taste(self, history: History) -> Taste:
        """Return what this model makes of a history, worked out once for all questions about it."""
        return Taste(self, history)

    def fold_in(self, history: History) -> NDArray[np.float32]:
        """Return the user's factors, float32[F]; zero when no positive event is of a film the model knows."""
        return self.taste(history).folded.factor

    def scores(self, history: History) -> NDArray[np.float32]:
        """Return float32[I], the score of every item; all 0 without a positive event of a known film."""
        return self.taste(history).scores

    def confidences(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the confidences float32[n] of the n events of one user, whose weights are given."""
        scale = self.info.alpha * self.info.activity_scale(len(weights))
        return np.float32(scale) * weights.astype(np.float32)

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

        ``eligible`` bool[I], aligned with ``item_ids``, restricts the films further; see Taste.recommend.
        """
        taste = self.taste(history)
        return taste.recommend(n, taste.eligible(exclude, eligible), explain=explain, choose=choose)

    def contributions(self, history: History, movie_ids: ArrayLike) -> NDArray[np.float64]:
        """Return float64[T, n]: how much each event of ``history`` adds to the score of each movie.

        A row sums to the score. Events that are negative or of unknown films add nothing of their own: a
        dislike bends the system that the positive ones are solved in. Raises UnknownMovieError.
        """
        targets = self.positions(movie_ids)
        if np.any(targets < 0):
            raise UnknownMovieError(int(np.asarray(movie_ids)[targets < 0][0]))
        taste = self.taste(history)
        result = np.zeros((len(targets), len(history)))
        result[:, taste.positive_events] = taste.contributions(targets)
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

    def _pairs(
        self, scores: NDArray[np.float32], n: int, allowed: NDArray[np.bool_]
    ) -> list[tuple[int, float]]:
        best = top_k(scores, n, allowed)
        return list(zip(self.item_ids[best].tolist(), scores[best].tolist(), strict=True))
