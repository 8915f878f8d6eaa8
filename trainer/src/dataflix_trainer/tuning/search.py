"""Searches for better parameters within a budget of seconds, with Optuna's TPE; a search can be resumed.

On some hundred users the best of many trials is mostly the luckiest. So trials are compared by a lower bound
of their gain: the mean gain over the start, on the same users, less half the standard error of that gain. The
start has the bound 0 and is kept unless another trial beats it beyond its own noise.
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

# TPE draws this many at random before it models. A short budget should not go to chance alone.
RANDOM_TRIALS = 8
# Standard errors of the paired gain that a trial has to make up for.
NOISE = 0.5
# The attribute of a trial that holds its lower bound; studies on disk have it.
GAIN = "gain"


@dataclass(frozen=True, slots=True)
class TuningResult:
    """The outcome of a search.

    Attributes:
        params: the parameters with the highest lower bound of their gain.
        value: mean of the objective with ``params``.
        start_value: mean of the objective at the start.
        trials: number of all trials of the study, those of earlier searches included.
        seconds: duration of this search.
    """

    params: dict[str, Any]
    value: float
    start_value: float
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
    initial_trials: Sequence[Mapping[str, Any]] = (),
    name: str = "search",
    storage: BaseStorage | None = None,
    on_trial: Callable[[int, Mapping[str, Any], float], None] = lambda number, params, value: None,
) -> TuningResult:
    """Maximize the mean of ``objective`` over ``space``.

    Parameters with which no model can be fitted (DataError) count as a failed trial.

    Args:
        objective: returns a figure for each user, float64[E], always of the same users.
        space: what may vary, and in which range.
        start: always measured, and the result unless another trial is better beyond noise.
        seconds: no trial begins later than this.
        max_trials: of the whole study.
        seed: of the sampler.
        initial_trials: changes to ``start`` that are tried first.
        name: of the study. A study of this name in ``storage`` is resumed.
        storage: where the study is kept; None keeps it in memory.
        on_trial: called with number, parameters and value of each finished trial.

    Raises:
        DataError: no model can be fitted with ``start``.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    began = time.monotonic()
    study = optuna.create_study(study_name=name, storage=storage, load_if_exists=True, direction="maximize")
    tried = len(study.get_trials(states=(TrialState.COMPLETE, TrialState.FAIL)))
    is_new = tried == 0
    with warnings.catch_warnings():
        # Multivariate sampling warns that it may change; the lock fixes the version that draws.
        warnings.simplefilter("ignore", ExperimentalWarning)
        # A resumed study with the same seed would draw the same parameters again.
        study.sampler = TPESampler(seed=seed + tried, n_startup_trials=RANDOM_TRIALS, multivariate=True)
    if is_new:
        for changes in initial_trials:
            study.enqueue_trial(dict(start) | dict(changes))
    at_start = objective(start)
    start_value = float(at_start.mean())
    if is_new:
        first = create_trial(
            params=dict(start), distributions=dict(space), value=start_value, user_attrs={GAIN: 0.0}
        )
        study.add_trial(first)
        on_trial(study.trials[-1].number, start, start_value)
        tried = 1
    while tried < max_trials and time.monotonic() - began < seconds:
        trial = study.ask(dict(space))
        try:
            values = objective(trial.params)
        except DataError as error:
            study.tell(trial, state=TrialState.FAIL)
            log.info("event=trial_failed number=%d params=%s error=%r", tried, trial.params, str(error))
        else:
            trial.set_user_attr(GAIN, lower_bound_gain(values, at_start))
            study.tell(trial, float(values.mean()))
            on_trial(trial.number, trial.params, float(values.mean()))
        tried += 1
    best = max(study.get_trials(states=(TrialState.COMPLETE,)), key=lambda trial: trial.user_attrs[GAIN])
    return TuningResult(
        dict(best.params), float(best.value or 0.0), start_value, tried, time.monotonic() - began
    )


def lower_bound_gain(values: NDArray[np.float64], at_start: NDArray[np.float64]) -> float:
    """Return the mean gain of ``values`` over ``at_start`` [E], less its noise; 0 for the start itself."""
    gains = values - at_start
    return float(gains.mean() - NOISE * gains.std() / math.sqrt(len(gains)))
