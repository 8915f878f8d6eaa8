"""Looks for better parameters within a budget of seconds (Optuna's TPE); can be taken up again later.

On some hundred users the best of many trials is mostly the luckiest. So what a trial is worth is its mean
gain over the start, on the same users, less half the standard error of that gain: the start is worth 0, and
is left only for what beats it beyond its own noise.
"""

import logging
import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import TPESampler
from optuna.storages import BaseStorage
from optuna.trial import TrialState, create_trial

from dataflix_trainer.errors import DataError

log = logging.getLogger(__name__)

# TPE draws this many at random before it models; a short budget should not be spent on chance alone.
RANDOM_TRIALS = 8
NOISE = 0.5  # standard errors of the paired gain that a trial has to make up for
GAIN = "gain"


@dataclass(frozen=True, slots=True)
class Found:
    """The ``params`` worth most and their mean ``value``, and that of the ``start``; ``trials`` are all."""

    params: dict[str, Any]
    value: float
    start: float
    trials: int
    seconds: float


def search(
    objective: Callable[[Mapping[str, Any]], NDArray[np.float64]],
    space: Mapping[str, BaseDistribution],
    start: Mapping[str, Any],
    *,
    seconds: float,
    max_trials: int,
    seed: int,
    guesses: Sequence[Mapping[str, Any]] = (),
    name: str = "search",
    storage: BaseStorage | None = None,
    tell: Callable[[int, Mapping[str, Any], float], None] = lambda number, params, value: None,
) -> Found:
    """Maximise the mean of ``objective`` over ``space``, beginning with ``start`` changed by ``guesses``.

    ``objective`` returns a figure for each user, float64[E], always of the same users. No trial begins after
    ``seconds``; ``start`` itself is always measured, and is the result unless another is better beyond noise.
    A study of the same ``name`` in ``storage`` is taken up where it stopped. ``tell`` hears of each trial.
    Parameters with which a model cannot be fitted (DataError) count as tried and bad; it is raised when the
    start cannot.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    began = time.monotonic()
    study = optuna.create_study(study_name=name, storage=storage, load_if_exists=True, direction="maximize")
    tried = len(study.get_trials(states=(TrialState.COMPLETE, TrialState.FAIL)))
    with warnings.catch_warnings():
        # Multivariate sampling warns that it may change; which version draws is fixed by the lock.
        warnings.simplefilter("ignore", ExperimentalWarning)
        # Taken up again with the same seed it would draw the same parameters again.
        study.sampler = TPESampler(seed=seed + tried, n_startup_trials=RANDOM_TRIALS, multivariate=True)
    if not tried:
        for guess in guesses:
            study.enqueue_trial(dict(start) | dict(guess))
    at_start = objective(start)
    if not tried:
        first = create_trial(
            params=dict(start),
            distributions=dict(space),
            value=float(at_start.mean()),
            user_attrs={GAIN: 0.0},
        )
        study.add_trial(first)
        tell(study.trials[-1].number, start, float(at_start.mean()))
        tried = 1
    while tried < max_trials and time.monotonic() - began < seconds:
        trial = study.ask(dict(space))
        try:
            values = objective(trial.params)
        except DataError as error:
            study.tell(trial, state=TrialState.FAIL)
            log.info("event=trial_failed number=%d params=%s error=%r", tried, trial.params, str(error))
        else:
            trial.set_user_attr(GAIN, worth(values, at_start))
            study.tell(trial, float(values.mean()))
            tell(trial.number, trial.params, float(values.mean()))
        tried += 1
    best = max(study.get_trials(states=(TrialState.COMPLETE,)), key=lambda trial: trial.user_attrs[GAIN])
    value, base = float(best.value or 0.0), float(at_start.mean())
    return Found(dict(best.params), value, base, tried, time.monotonic() - began)


def worth(values: NDArray[np.float64], at_start: NDArray[np.float64]) -> float:
    """Return the mean gain of ``values`` over ``at_start`` [E], less its noise; 0 for the start itself."""
    gains = values - at_start
    return float(gains.mean() - NOISE * gains.std() / math.sqrt(len(gains)))
