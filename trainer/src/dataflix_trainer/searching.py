"""Looks for the best parameters within a budget of seconds (Optuna's TPE); can be taken up again later."""

import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import TPESampler
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from dataflix_trainer.errors import DataError

log = logging.getLogger(__name__)

# TPE draws this many at random before it models; a short budget should not be spent on chance alone.
RANDOM_TRIALS = 8


@dataclass(frozen=True, slots=True)
class Found:
    """The best ``params`` and their ``value``; ``trials`` is how many were tried in all."""

    params: dict[str, Any]
    value: float
    trials: int
    seconds: float


def search(
    objective: Callable[[Mapping[str, Any]], float],
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
    """Maximise ``objective`` over ``space``, beginning with ``start`` and its changes by ``guesses``.

    No trial begins after ``seconds``; the first is always made, so the result is never worse than ``start``.
    A study of the same ``name`` in ``storage`` is taken up where it stopped. ``tell`` hears of each trial.
    Parameters with which a model cannot be fitted (DataError) count as tried and bad; it is raised when none
    could be.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    began = time.monotonic()
    study = optuna.create_study(study_name=name, storage=storage, load_if_exists=True, direction="maximize")
    tried = len(study.trials)
    with warnings.catch_warnings():
        # Multivariate sampling warns that it may change; which version draws is fixed by the lock.
        warnings.simplefilter("ignore", ExperimentalWarning)
        # Taken up again with the same seed it would draw the same parameters again.
        study.sampler = TPESampler(seed=seed + tried, n_startup_trials=RANDOM_TRIALS, multivariate=True)
    if not tried:
        for guess in ({}, *guesses):
            study.enqueue_trial(dict(start) | dict(guess))
    problem: DataError | None = None
    while tried < max_trials:
        trial = study.ask(dict(space))
        try:
            value = objective(trial.params)
        except DataError as error:
            problem = error
            study.tell(trial, state=TrialState.FAIL)
            log.info("event=trial_failed number=%d params=%s error=%r", tried, trial.params, str(error))
        else:
            study.tell(trial, value)
            tell(trial.number, trial.params, value)
        tried += 1
        if time.monotonic() - began >= seconds:
            break
    if problem and not study.get_trials(states=(TrialState.COMPLETE,)):
        raise problem
    best = study.best_trial
    return Found(dict(best.params), float(best.value or 0.0), tried, time.monotonic() - began)
