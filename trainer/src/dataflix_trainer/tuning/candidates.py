"""Tunes the candidates of an evaluation on its validation split."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataflix_trainer.evaluation.candidates import Candidate, Conditions, candidates_of
from dataflix_trainer.evaluation.file_evaluation import TunedParameters
from dataflix_trainer.evaluation.measurement import ndcg
from dataflix_trainer.evaluation.options import FileEvaluationOptions
from dataflix_trainer.evaluation.protocols import EvalSplit
from dataflix_trainer.tuning.search import TuningResult, search

log = logging.getLogger(__name__)

# Times the square of the number of parameters: a dozen trials find one, the budget ends a search for four.
TRIALS = 15
# More users narrow the noise of a gain little, and each costs a millisecond in every trial.
MAX_TUNING_USERS = 2_000


def tune_candidates(
    validation: Sequence[EvalSplit], options: FileEvaluationOptions, seconds: float
) -> dict[str, TunedParameters]:
    """Tune each candidate that has parameters.

    The candidates share the budget: each may use an equal part of what is left, so what one does not use
    (few parameters, few trials) goes to those after it.

    Args:
        validation: the parts of the split that tuning measures on.
        options: seed, threads and the k of the NDCG to maximize.
        seconds: the budget of all candidates together.
    """
    # Those with few parameters end early.
    with_parameters = [candidate for candidate in candidates_of(options.protocol) if candidate.space]
    waiting = sorted(with_parameters, key=lambda candidate: len(candidate.space))
    sample = [split.sampled(MAX_TUNING_USERS // len(validation), seed=options.seed) for split in validation]
    tuned = {}
    for position, candidate in enumerate(waiting):
        result = _tune(candidate, sample, options, seconds / (len(waiting) - position))
        seconds = max(0.0, seconds - result.seconds)
        metric = f"ndcg@{options.main_cutoff}"
        tuned[candidate.name] = TunedParameters(
            result.params,
            {
                "trials": result.trials,
                "seconds": round(result.seconds, 1),
                f"validation_{metric}": result.value,
                f"default_{metric}": result.start_value,
            },
        )
    return tuned


def _tune(
    candidate: Candidate, sample: Sequence[EvalSplit], options: FileEvaluationOptions, seconds: float
) -> TuningResult:
    conditions = Conditions(options.seed, options.threads)

    def objective(params: Mapping[str, Any]) -> NDArray[np.float64]:
        measured = [
            ndcg(candidate.fit(split, params, conditions), split, options.main_cutoff) for split in sample
        ]
        return np.concatenate(measured)

    log.info("event=tuning_started model=%s seconds=%.0f", candidate.name, seconds)
    result = search(
        objective,
        candidate.space,
        candidate.defaults,
        seconds=seconds,
        initial_trials=candidate.initial_trials,
        max_trials=TRIALS * len(candidate.space) ** 2,
        seed=options.seed,
    )
    log.info(
        "event=tuning_finished model=%s trials=%d validation=%.4f params=%s",
        *(candidate.name, result.trials, result.value, result.params),
    )
    return result
