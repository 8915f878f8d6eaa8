"""Tunes the product's model on the warehouse's data, never on the events that promotion is decided on."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.storages import JournalStorage

from dataflix_common.settings import SettingsError
from dataflix_trainer.data.holdout import HOLDOUT_SEED, latest_events, without_latest
from dataflix_trainer.data.training_data import TrainingData
from dataflix_trainer.data.warehouse import Warehouse
from dataflix_trainer.errors import DataError
from dataflix_trainer.evaluation.holdout_evaluation import evaluate_model
from dataflix_trainer.evaluation.options import MAIN_METRIC
from dataflix_trainer.model.hyperparameters import Hyperparameters
from dataflix_trainer.model.product_model import fit_product_model
from dataflix_trainer.model.search_space import INITIAL_TRIALS, SPACE, defaults
from dataflix_trainer.registry.registry import Registry
from dataflix_trainer.registry.tuning_runs import TuningRun, latest_tuning, reset_tunings
from dataflix_trainer.tuning.journal import open_journal
from dataflix_trainer.tuning.search import search

log = logging.getLogger(__name__)

# Only a limit for a search that runs for weeks; the budget ends it before.
MAX_TRIALS = 10_000
# Characters of a data set's digest that name its study.
DIGEST_LENGTH = 12


def tune(
    warehouse: Warehouse, registry: Registry, *, seconds: float, threads: int, folder: Path
) -> dict[str, Any]:
    """Search for better hyperparameters and log them to MLflow, where trainings find them.

    The events that promotion holds out are left out first. Each user's latest fifth of the rest is what the
    search measures on.

    Args:
        warehouse: holds the data.
        registry: gets a run for the tuning and one for each trial.
        seconds: no trial begins later.
        threads: that fit.
        folder: of the studies. A study is resumed as long as the data are the same. New data begin a new
            study, which tries the parameters of the latest tuning among the first.

    Returns:
        The best parameters, their metric, and that of the defaults.

    Raises:
        DataError: the data cannot be tuned on.
        SettingsError: ``folder`` cannot be used.
        ServiceUnavailableError: a service does not answer.
    """
    data = TrainingData.read(warehouse)
    past = without_latest(data.interactions, seed=HOLDOUT_SEED)
    validation = latest_events(past, seed=HOLDOUT_SEED)
    if not len(validation.users):
        raise DataError("no user has enough events to tune on; trainer train uses the defaults")
    study = data.interactions.digest()[:DIGEST_LENGTH]
    latest = latest_tuning(registry, data.source)
    # Another version of this code may have searched other parameters.
    known = {name: value for name, value in latest.params.items() if name in SPACE} if latest else {}
    run = TuningRun(registry, study, data.source)
    values: dict[str, float] = {}
    began = time.monotonic()
    log.info(
        "event=tuning_started study=%s users=%d events=%d budget_s=%.0f; the defaults are measured first",
        study,
        len(validation.users),
        data.interactions.matrix.nnz,
        seconds,
    )

    def objective(params: Mapping[str, Any]) -> NDArray[np.float64]:
        parameters = Hyperparameters(**params)
        model = fit_product_model(data, validation.train, validation.times, parameters, threads=threads)
        return evaluate_model(model, validation).per_user[MAIN_METRIC]

    def on_trial(number: int, params: Mapping[str, Any], value: float) -> None:
        values[str(number)] = value
        log.info(
            "event=trial number=%d %s=%.4f highest=%.4f after_s=%.0f budget_s=%.0f params=%s",
            number,
            MAIN_METRIC,
            value,
            max(values.values()),
            time.monotonic() - began,
            seconds,
            {name: float(f"{given:.4g}") for name, given in params.items()},
        )
        run.log_trial(number, params, MAIN_METRIC, value)

    try:
        result = search(
            objective,
            SPACE,
            defaults(),
            seconds=seconds,
            initial_trials=[*([known] if known else []), *INITIAL_TRIALS],
            max_trials=MAX_TRIALS,
            seed=HOLDOUT_SEED,
            name=study,
            storage=_storage(folder, study),
            on_trial=on_trial,
        )
        metrics = {f"validation_{MAIN_METRIC}": result.value, f"default_{MAIN_METRIC}": result.start_value}
        run.finish(result.params, metrics)
    except BaseException:
        run.fail()
        raise
    return {
        "mlflow_run_id": run.run_id,
        "study": study,
        "trials": result.trials,
        "new_trials": len(values),
        "seconds": round(result.seconds, 1),
        "users": len(validation.users),
        "params": result.params,
    } | metrics


def reset(warehouse: Warehouse, registry: Registry, *, folder: Path) -> dict[str, Any]:
    """Forget the tunings on data of the warehouse's source: trainings use the defaults until the next one.

    Args:
        warehouse: holds the data.
        registry: has the tunings; their runs stay there, marked.
        folder: of the studies. That of the present data is removed, so the next search starts from nothing.

    Returns:
        ``tunings``, how many were forgotten, and their ``source``.

    Raises:
        DataError: the data cannot be read.
        SettingsError: ``folder`` cannot be used.
        ServiceUnavailableError: a service does not answer.
    """
    data = TrainingData.read(warehouse)
    count = reset_tunings(registry, data.source)
    try:
        (folder / f"{data.interactions.digest()[:DIGEST_LENGTH]}.journal").unlink(missing_ok=True)
    except OSError as error:
        raise SettingsError(f"{folder} can't be used ({error}); DATAFLIX_HOME moves it") from error
    return {"tunings": count, "source": str(data.source)}


def _storage(folder: Path, study: str) -> JournalStorage:
    """Open the file of one study.

    Raises:
        SettingsError: the folder cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return open_journal(folder / f"{study}.journal", study, SPACE)
    except OSError as error:
        raise SettingsError(f"{folder} can't be used ({error}); DATAFLIX_HOME moves it") from error
