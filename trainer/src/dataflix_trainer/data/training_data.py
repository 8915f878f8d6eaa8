"""What the warehouse gives to a training."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dataflix_recommender import ConfidenceWeights, ItemCatalogue
from dataflix_trainer.data.interactions import Interactions
from dataflix_trainer.data.warehouse import MATRIX_TABLE, Warehouse

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Interactions, item metadata, and the definition of confidence weights."""

    interactions: Interactions
    catalogue: ItemCatalogue
    weights: ConfidenceWeights

    @classmethod
    def read(cls, warehouse: Warehouse) -> "TrainingData":
        """Read all three.

        Raises:
            DataError: a table is empty or inconsistent.
            ServiceUnavailableError: the warehouse does not answer.
        """
        item_ids, catalogue = warehouse.catalogue()
        weights = warehouse.confidence_weights()
        interactions = warehouse.interactions(item_ids)
        log.info(
            "event=read users=%d items=%d interactions=%d",
            *(*interactions.matrix.shape, interactions.count),
        )
        return cls(interactions, catalogue, weights)

    def identity(self) -> dict[str, Any]:
        """Return what tells this data set apart, as models keep it."""
        latest = datetime.fromtimestamp(int(self.interactions.times.max()) / 1e6, UTC)
        return {
            "name": MATRIX_TABLE,
            "sha256": self.interactions.digest(),
            "interactions": self.interactions.count,
            "latest_event_at": latest.isoformat(),
        }
