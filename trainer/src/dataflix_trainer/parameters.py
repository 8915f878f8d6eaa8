"""Which parameters of the product's model are searched, in what range, and where the search begins."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from dataflix_trainer.als import Hyperparameters

SPACE: Mapping[str, BaseDistribution] = {
    "factors": IntDistribution(16, 256, log=True),
    "alpha": FloatDistribution(0.25, 32, log=True),
    # Scaled to the data, so that what is found on a part holds for the whole.
    "regularization_scale": FloatDistribution(0.1, 3, log=True),
    "iterations": IntDistribution(5, 30),
}


def defaults() -> dict[str, Any]:
    """Return the values of SPACE that a training without tuning takes."""
    values = asdict(Hyperparameters())
    return {name: values[name] for name in SPACE}
