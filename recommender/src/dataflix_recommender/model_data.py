"""The arrays of a model, checked when they are put together, and their form on disk."""

from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dataflix_recommender.algorithms.mips_pruner import MipsPruner
from dataflix_recommender.data.artifact import MANIFEST, read_array, read_manifest, write_artifact
from dataflix_recommender.data.catalogue import NUMBERS, YOUNGER_NUMBERS, ItemCatalogue
from dataflix_recommender.data.confidence_weights import ConfidenceWeights
from dataflix_recommender.data.item_item_weights import ARTIFACT_NAMES, ItemItemWeights
from dataflix_recommender.data.model_info import ModelInfo
from dataflix_recommender.data.packed_strings import PackedStrings
from dataflix_recommender.data.recent_popularity import RecentPopularity
from dataflix_recommender.errors import ArtifactError, InvalidModelError
from dataflix_recommender.lists.popularity import Popularity
from dataflix_recommender.lists.reranker import ItemFeatures

CATALOGUE_COLUMNS = ("genre_codes", "genre_offsets", *NUMBERS)
# The file of the array, and the numbers beside it in the manifest.
RECENT_POPULARITY = "recent_popularity"


class ModelData:
    """Item factors and all else that serving needs. It is immutable, so threads may share it.

    Attributes:
        info: Provenance and hyper-parameters.
        item_ids: int64[I], ascending and unique.
        item_factors: float32[I, F].
        catalogue: The I items in the order of ``item_ids``.
        weights: The definition of confidence.
        gram: float64[F, F], Y'Y.
        item_item_weights: The item-item part of the score.
        recent_popularity: The part of the score that is the same for all.
        pruner: Finds the candidates of a list.
        item_norms: float32[I], the lengths of the factors.
        fallback: The ranking for a user whose preferences are not known.

    Raises:
        InvalidModelError: The parts do not fit together.
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
        item_item_weights: ItemItemWeights | None = None,
        recent_popularity: RecentPopularity | None = None,
    ) -> None:
        """Put the parts together. ``gram`` None is computed; other parts that are None add nothing."""
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
        if item_item_weights is None:
            item_item_weights = ItemItemWeights.empty(items)
        if len(item_item_weights) != items:
            raise InvalidModelError(f"{items} items, but item-item weights of {len(item_item_weights)}")
        if recent_popularity is None:
            recent_popularity = RecentPopularity.empty(items)
        if len(recent_popularity) != items:
            raise InvalidModelError(f"{items} items, but recent popularity of {len(recent_popularity)}")
        self.info = info
        self.item_ids = item_ids
        self.item_factors = item_factors
        self.catalogue = catalogue
        self.weights = weights
        self.gram = gram
        self.item_item_weights = item_item_weights
        self.recent_popularity = recent_popularity
        self.pruner = MipsPruner.from_factors(item_factors, gram)
        self.item_norms: NDArray[np.float32] = np.linalg.norm(item_factors, axis=1)
        self.fallback = Popularity.from_catalogue(catalogue)

    @property
    def size(self) -> int:
        """Number of items."""
        return len(self.item_ids)

    @property
    def popularity(self) -> NDArray[np.float32]:
        """Scores float32[I] in 0..1 for a user whose preferences are not known, mixed by genre."""
        return self.fallback.mixed

    @property
    def item_features(self) -> ItemFeatures:
        """What reranking reads of the items."""
        return ItemFeatures(self.catalogue, self.item_factors, self.item_norms, self.fallback.blend)

    def positions(self, item_ids: ArrayLike) -> NDArray[np.int64]:
        """Return the position of each item id, -1 for items that the model does not know."""
        wanted = np.asarray(item_ids, dtype=np.int64)
        found = np.minimum(np.searchsorted(self.item_ids, wanted), self.size - 1)
        return np.where(self.item_ids[found] == wanted, found, -1)

    def save(self, path: Path) -> None:
        """Write the artifact directory ``path`` in one step.

        Raises:
            ArtifactError: ``path`` exists already.
        """
        arrays: dict[str, NDArray[Any]] = {
            "item_ids": self.item_ids,
            "item_factors": self.item_factors,
            "gram": self.gram,
            "weights": self.weights.rows,
            "titles": self.catalogue.titles.data,
            "title_offsets": self.catalogue.titles.offsets,
        }
        arrays |= {name: getattr(self.catalogue, name) for name in (*CATALOGUE_COLUMNS, *YOUNGER_NUMBERS)}
        arrays |= self.item_item_weights.arrays
        recent = self.recent_popularity
        arrays[RECENT_POPULARITY] = recent.values
        header = {
            "info": self.info.to_dict(),
            "genre_names": list(self.catalogue.genre_names),
            "kind_weights": self.weights.kinds,
            RECENT_POPULARITY: {
                "weight": recent.weight,
                "returning_weight": recent.returning_weight,
                "until": recent.until,
            },
        }
        write_artifact(path, arrays, header)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Load the artifact at ``path`` into memory; the files may change or vanish afterwards.

        Raises:
            ArtifactError: The artifact cannot be used; the message names the file and the reason.
        """
        manifest = read_manifest(path)
        try:
            info = ModelInfo.from_dict(manifest["info"])
            genre_names = tuple(manifest["genre_names"])
            # Artifacts from before December 2026 have no kinds.
            kind_weights = {kind: float(value) for kind, value in manifest.get("kind_weights", {}).items()}
            # Nor do they have recent popularity.
            strengths = dict(manifest.get(RECENT_POPULARITY, {}))
        except (AttributeError, KeyError, TypeError, ValueError, InvalidModelError) as error:
            raise ArtifactError(path / MANIFEST, f"has no usable info: {error!r}") from error

        def array(name: str) -> NDArray[Any]:
            return read_array(path, name, manifest)

        files = manifest["files"]
        younger = {name: name if name in files else other for name, other in YOUNGER_NUMBERS.items()}
        try:
            catalogue = ItemCatalogue(
                titles=PackedStrings(array("titles"), array("title_offsets")),
                genre_names=genre_names,
                **{name: array(name) for name in CATALOGUE_COLUMNS},
                **{name: array(file) for name, file in younger.items()},
            )
            weights = ConfidenceWeights(array("weights"), kind_weights)
            item_item = ItemItemWeights(*map(array, ARTIFACT_NAMES), slope=info.item_item_slope)
            recent = RecentPopularity(array(RECENT_POPULARITY), **strengths) if strengths else None
            return cls(
                info,
                array("item_ids"),
                array("item_factors"),
                catalogue,
                weights,
                gram=array("gram"),
                item_item_weights=item_item,
                recent_popularity=recent,
            )
        except (InvalidModelError, TypeError) as error:
            raise ArtifactError(path, str(error)) from error
