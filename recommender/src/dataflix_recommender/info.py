"""What a model says about itself: when, how and from what it was trained."""

import math
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from dataflix_recommender.errors import InvalidModelError


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Provenance of one trained model.

    ``metrics`` are those of the evaluation run with the same hyper-parameters; ``dataset`` identifies the
    interactions (at least their SHA-256); ``regularization`` and ``alpha`` are also what fold-in uses, and so
    is ``activity_scale``, from ``activity_exponent`` and ``mean_events``, the events of an average user.
    ``link_slope`` is that of the links between items.
    Raises InvalidModelError for values that could not be served with.
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
    link_slope: float = 0.0

    def __post_init__(self) -> None:
        if self.trained_at.tzinfo is None:
            raise InvalidModelError("trained_at must carry a time zone")
        if self.factors < 1:
            raise InvalidModelError(f"factors must be at least 1, got {self.factors}")
        # Without a positive ridge the fold-in system may be singular.
        for name in ("regularization", "alpha", "mean_events"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InvalidModelError(f"{name} must be a positive number, got {value}")
        for name in ("activity_exponent", "link_slope"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InvalidModelError(f"{name} must be a number from 0, got {value}")
        for name, value in self.metrics.items():
            if not math.isfinite(value):
                raise InvalidModelError(f"metric {name} must be finite, got {value}")

    def activity_scale(self, events: int) -> float:
        """Return what the confidences of a user of so many events are multiplied by.

        Who takes everything says less with each: with an exponent of 0.5, a user of four times as many events
        as the average counts half as much by each. 1 with an exponent of 0.
        """
        return float((max(events, 1) / self.mean_events) ** -self.activity_exponent)

    def with_metrics(self, metrics: dict[str, float]) -> Self:
        """Return a copy that carries ``metrics``."""
        return replace(self, metrics=metrics)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, ``trained_at`` in ISO 8601."""
        return asdict(self) | {"trained_at": self.trained_at.isoformat()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read the JSON form; raises KeyError, TypeError or ValueError when it is not one."""
        return cls(**(values | {"trained_at": datetime.fromisoformat(values["trained_at"])}))
