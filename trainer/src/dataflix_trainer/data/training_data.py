"""What the warehouse gives to a training."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from scipy.sparse import csr_matrix

from dataflix_recommender import OWN_SOURCE, ConfidenceWeights, ItemCatalogue, SourceIdentity
from dataflix_trainer.data.interactions import Interactions
from dataflix_trainer.data.warehouse import MATRIX_TABLE, Warehouse

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Interactions, item metadata, the definition of confidence weights, and the database they come from.

    Attributes:
        features: float64[I, D], what new items are placed by; None places none.
    """

    interactions: Interactions
    catalogue: ItemCatalogue
    weights: ConfidenceWeights
    source: SourceIdentity = OWN_SOURCE
    features: csr_matrix | None = None

    @classmethod
    def read(cls, warehouse: Warehouse) -> "TrainingData":
        """Read all of it.

        Raises:
            DataError: a table is empty or inconsistent.
            ServiceUnavailableError: the warehouse does not answer.
        """
        source = warehouse.source()
        items = warehouse.items()
        weights = warehouse.confidence_weights()
        interactions = warehouse.interactions(items.ids)
        log.info(
            "event=read users=%d items=%d interactions=%d source=%r",
            *(*interactions.matrix.shape, interactions.count, str(source)),
        )
        return cls(interactions, items.catalogue, weights, source, items.features)

    def identity(self) -> dict[str, Any]:
        """Return what tells this data set apart, as models keep it."""
        latest = datetime.fromtimestamp(int(self.interactions.times.max()) / 1e6, UTC)
        return {
            "name": MATRIX_TABLE,
            "sha256": self.interactions.digest(),
            "interactions": self.interactions.count,
            "latest_event_at": latest.isoformat(),
        }
