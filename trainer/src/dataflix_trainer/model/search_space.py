"""Which hyperparameters a search may change, in what range, and what it tries first."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from dataflix_trainer.model.hyperparameters import Hyperparameters

ALS_SPACE: Mapping[str, BaseDistribution] = {
    "factors": IntDistribution(16, 256, log=True),
    "alpha": FloatDistribution(0.25, 32, log=True),
    # Scaled to the data, so that a value found on a part of the data holds for all of it.
    "regularization_scale": FloatDistribution(0.1, 3, log=True),
    "iterations": IntDistribution(5, 30),
}
SPACE: Mapping[str, BaseDistribution] = {
    **ALS_SPACE,
    "activity_exponent": FloatDistribution(0, 1),
    "link_weight": FloatDistribution(0.1, 10, log=True),
    "link_regularization": FloatDistribution(10, 50_000, log=True),
    # Below 0, active users count more: best on some splits in time.
    "link_activity_exponent": FloatDistribution(-0.5, 0.75),
    "link_slope": FloatDistribution(0, 0.4),
    "link_dropout": FloatDistribution(0, 0.7),
}
# What can be measured on a split in time alone.
TIME_SPACE: Mapping[str, BaseDistribution] = {
    **SPACE,
    "recent_half_life_days": FloatDistribution(1, 730, log=True),
    "recent_weight": FloatDistribution(0, 0.5),
    "returning_weight": FloatDistribution(0, 1),
}
# Changes to the defaults that were best on one data set or another. A few dozen trials find more from several
# good places than from one.
ALS_INITIAL_TRIALS: Sequence[Mapping[str, Any]] = (
    {"regularization_scale": 0.7},
    {"regularization_scale": 1.4},
    {"alpha": 4.0},
    {"factors": 64},
    {"alpha": 4.0, "regularization_scale": 0.5},
    {"factors": 64, "regularization_scale": 0.7},
    {"factors": 256},
    {"regularization_scale": 0.85},
)
INITIAL_TRIALS: Sequence[Mapping[str, Any]] = (
    {"alpha": 4.0, "link_regularization": 500.0},
    {"link_regularization": 500.0},
    {"link_weight": 1.0, "link_regularization": 100.0},
    {"regularization_scale": 0.7},
    {"regularization_scale": 1.4},
    {"factors": 64, "alpha": 4.0, "regularization_scale": 0.5, "link_weight": 1.0},
    {"link_weight": 0.2},
    {"regularization_scale": 1.4, "link_weight": 2.0, "link_regularization": 800.0},
    {"link_regularization": 100.0, "link_activity_exponent": 0.5},
)
# People who come back take what is new, more in some catalogues than in others.
_LATELY = {"recent_half_life_days": 30.0, "recent_weight": 0.1, "returning_weight": 0.05}
TIME_INITIAL_TRIALS: Sequence[Mapping[str, Any]] = (
    _LATELY,
    _LATELY | {"recent_half_life_days": 7.0, "returning_weight": 0.3},
    _LATELY | {"recent_half_life_days": 90.0, "returning_weight": 0.1},
    _LATELY | {"regularization_scale": 1.4, "link_regularization": 1000.0},
    _LATELY | {"link_weight": 2.0, "link_dropout": 0.3, "link_regularization": 100.0},
    _LATELY | {"regularization_scale": 2.0, "link_weight": 2.0, "link_regularization": 3000.0},
    _LATELY | {"recent_half_life_days": 7.0, "recent_weight": 0.2, "returning_weight": 0.6},
    *INITIAL_TRIALS,
)


def defaults() -> dict[str, Any]:
    """Return the values of SPACE that a training without tuning uses."""
    values = asdict(Hyperparameters())
    return {name: values[name] for name in SPACE}


def als_defaults() -> dict[str, Any]:
    """Return the values of ALS_SPACE that ALS alone begins with."""
    return {name: value for name, value in defaults().items() if name in ALS_SPACE}


def time_defaults() -> dict[str, Any]:
    """Return the values of TIME_SPACE that a training without tuning uses."""
    values = asdict(Hyperparameters())
    return {name: values[name] for name in TIME_SPACE}
