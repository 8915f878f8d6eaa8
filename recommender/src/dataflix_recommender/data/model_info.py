"""How and from what a model was trained, and the numbers that fold-in needs."""

import math
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from dataflix_recommender.data.source_identity import SourceIdentity
from dataflix_recommender.errors import InvalidModelError

# Attributes whose key in the manifest is another: artifacts written under the older name must still load.
_MANIFEST_KEYS = {"item_item_slope": "link_slope"}


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Provenance and hyper-parameters of one trained model.

    Attributes:
        trained_at: When training ended, with a time zone.
        factors: The number of factors F.
        regularization: The ridge of ALS. Fold-in uses it too.
        alpha: Confidence for each unit of weight. Fold-in uses it too.
        iterations: Iterations of ALS.
        seed: The seed of the initial factors.
        n_users: Users that the model was trained on.
        n_items: Items of the model.
        n_interactions: Events that the model was trained on.
        metrics: The metrics of an evaluation with the same hyper-parameters.
        dataset: What identifies the interactions, at least their SHA-256.
        dbt_manifest_sha256: The hash of dbt's manifest, empty when there is none.
        activity_exponent: How much less each event of an active user counts; see ``activity_scale``.
        mean_events: The number of events of the average user.
        item_item_slope: How much more an event counts in the item-item part for each unit of its weight.
        source: The database that the events come from; None in models of files, and in ones from before
            December 2026.

    Raises:
        InvalidModelError: A value does not allow to serve from the model.
    """

    trained_at: datetime
    factors: int
    regularization: float
    alpha: float
    iterations: int
    seed: int
    n_users: int
    n_items: int
    n_interactions: int
    metrics: dict[str, float] = field(default_factory=dict)
    dataset: dict[str, Any] = field(default_factory=dict)
    dbt_manifest_sha256: str = ""
    activity_exponent: float = 0.0
    mean_events: float = 1.0
    item_item_slope: float = 0.0
    source: SourceIdentity | None = None

    def __post_init__(self) -> None:
        if self.trained_at.tzinfo is None:
            raise InvalidModelError("trained_at must carry a time zone")
        if self.factors < 1:
            raise InvalidModelError(f"factors must be at least 1, got {self.factors}")
        # Without a positive ridge the system of fold-in may be singular.
        for name in ("regularization", "alpha", "mean_events"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InvalidModelError(f"{name} must be a positive number, got {value}")
        for name in ("activity_exponent", "item_item_slope"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InvalidModelError(f"{name} must be a number from 0, got {value}")
        for name, value in self.metrics.items():
            if not math.isfinite(value):
                raise InvalidModelError(f"metric {name} must be finite, got {value}")

    def activity_scale(self, n_events: int) -> float:
        """Return the factor for the confidences of a user with ``n_events`` events.

        A user who takes everything says less with each event. With an exponent of 0.5, a user with four times
        the events of the average user counts half as much by each. With an exponent of 0 the factor is 1.
        """
        return float((max(n_events, 1) / self.mean_events) ** -self.activity_exponent)

    def confidence_scale(self, n_events: int) -> float:
        """Return confidence divided by weight, for each event of a user with ``n_events`` events."""
        return self.alpha * self.activity_scale(n_events)

    def with_metrics(self, metrics: dict[str, float]) -> Self:
        """Return a copy with these ``metrics``."""
        return replace(self, metrics=metrics)

    def to_dict(self) -> dict[str, Any]:
        """Return the form of the manifest, ``trained_at`` in ISO 8601."""
        values = {_MANIFEST_KEYS.get(name, name): value for name, value in asdict(self).items()}
        if self.source is None:
            del values["source"]
        return values | {"trained_at": self.trained_at.isoformat()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read the form of the manifest.

        Raises:
            KeyError, TypeError, ValueError: ``values`` does not have that form.
        """
        attributes = {key: name for name, key in _MANIFEST_KEYS.items()}
        read = {attributes.get(key, key): value for key, value in values.items()}
        source = SourceIdentity(**values["source"]) if "source" in values else None
        trained_at = datetime.fromisoformat(values["trained_at"])
        return cls(**(read | {"trained_at": trained_at, "source": source}))
