"""``trainer tune``: looks for better parameters on the data, never on what promotion judges by."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from dataflix_trainer.data.holdout import latest_events, without_latest
from dataflix_trainer.data.warehouse import Warehouse
from dataflix_trainer.errors import DataError, SettingsError
from dataflix_trainer.evaluation.holdout_evaluation import MAIN_METRIC, evaluate_model
from dataflix_trainer.model.als import Hyperparameters
from dataflix_trainer.model.search_space import GUESSES, SPACE, defaults
from dataflix_trainer.registry.registry import Registry
from dataflix_trainer.registry.tuning_runs import TuningRun, known_best
from dataflix_trainer.training import HOLDOUT_SEED, TrainingData, fit_on
from dataflix_trainer.tuning.search import search

log = logging.getLogger(__name__)

# Ends a search that nobody set a bound to; the budget comes first.
MAX_TRIALS = 10_000
# Of a data set's digest: tells studies apart.
DIGEST_LENGTH = 12


def tune(
    warehouse: Warehouse, registry: Registry, *, seconds: float, threads: int, folder: Path
) -> dict[str, Any]:
    """Search for ``seconds``; return the best parameters, their figure and that of the defaults.

    What promotion holds out is left out first, and each user's latest fifth of the rest is what is tuned on.
    The study is kept in ``folder`` and taken up again as long as the data are the same; new data begin a new
    one, which tries the parameters known so far among the first. Raises DataError, SettingsError,
    ServiceUnavailableError.
    """
    data = TrainingData.read(warehouse)
    past = without_latest(data.interactions, seed=HOLDOUT_SEED)
    validation = latest_events(past, seed=HOLDOUT_SEED)
    if not len(validation.users):
        raise DataError("no user has enough events to tune on; train uses the defaults")
    study = data.interactions.digest()[:DIGEST_LENGTH]
    best = known_best(registry)
    # What another version of this code searched may be no parameter any more.
    known = {name: value for name, value in best.params.items() if name in SPACE} if best else {}
    run = TuningRun(registry, study)
    values: dict[str, float] = {}

    def objective(params: Mapping[str, Any]) -> NDArray[np.float64]:
        model = fit_on(data, validation.train, Hyperparameters(**params), threads=threads)
        return evaluate_model(model, validation).per_user[MAIN_METRIC]

    def tell(number: int, params: Mapping[str, Any], value: float) -> None:
        values[str(number)] = value
        log.info("event=trial number=%d %s=%.4f params=%s", number, MAIN_METRIC, value, dict(params))
        run.trial(number, params, MAIN_METRIC, value)

    try:
        found = search(
            objective,
            SPACE,
            defaults(),
            seconds=seconds,
            guesses=[*([known] if known else []), *GUESSES],
            max_trials=MAX_TRIALS,
            seed=HOLDOUT_SEED,
            name=study,
            storage=_storage(folder, study),
            tell=tell,
        )
        figures = {f"validation_{MAIN_METRIC}": found.value, f"default_{MAIN_METRIC}": found.start}
        run.finish(found.params, figures)
    except BaseException:
        run.fail()
        raise
    return {
        "mlflow_run_id": run.run_id,
        "study": study,
        "trials": found.trials,
        "new_trials": len(values),
        "seconds": round(found.seconds, 1),
        "users": len(validation.users),
        "params": found.params,
    } | figures


def _storage(folder: Path, study: str) -> JournalStorage:
    """Open the file of one study; raises SettingsError when its folder cannot be used."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return JournalStorage(JournalFileBackend(str(folder / f"{study}.journal")))
    except OSError as error:
        raise SettingsError(f"{folder} can't be used ({error}); DATAFLIX_HOME names its place") from error
