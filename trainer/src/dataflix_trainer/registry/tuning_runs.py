"""Tunings in MLflow: one parent run each, a child run for every trial, and the latest to train by."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import mlflow
from mlflow.entities import Metric, Param

from dataflix_trainer.model.als import Hyperparameters
from dataflix_trainer.registry.registry import Registry, metric_key

KIND = "dataflix.kind"
TUNING, TRIAL = "tuning", "tuning trial"
STUDY = "dataflix.study"
PARENT = "mlflow.parentRunId"
RUN_NAME = "mlflow.runName"
BEST = "best_"

# Who chose the parameters of a training, as its run says.
DEFAULTS, GIVEN = "defaults", "given"


@dataclass(frozen=True, slots=True)
class KnownBest:
    """The outcome of a tuning: ``params`` as a training is given them, and the run that found them."""

    run_id: str
    params: dict[str, Any]


class TuningRun:
    """The run of one tuning, open until it is finished or failed."""

    def __init__(self, registry: Registry, study: str) -> None:
        """Begin it; raises ServiceUnavailableError."""
        self._registry = registry
        self._client = mlflow.MlflowClient()
        with registry.explained():
            experiment = mlflow.set_experiment(registry.settings.model_name)
            self._experiment = experiment.experiment_id
            tags = {KIND: TUNING, STUDY: study, RUN_NAME: f"tuning {study}"}
            self.run_id: str = self._client.create_run(self._experiment, tags=tags).info.run_id

    def trial(self, number: int, params: Mapping[str, Any], metric: str, value: float) -> None:
        """Write one trial as a child run; raises ServiceUnavailableError."""
        tags = {KIND: TRIAL, PARENT: self.run_id, RUN_NAME: f"trial {number}"}
        with self._registry.explained():
            run_id = self._client.create_run(self._experiment, tags=tags).info.run_id
            self._log(run_id, params, {metric: value})
            self._client.set_terminated(run_id)

    def finish(self, best: Mapping[str, Any], figures: Mapping[str, float]) -> None:
        """Write the outcome; from now on trainings use it. Raises ServiceUnavailableError."""
        with self._registry.explained():
            self._log(self.run_id, {f"{BEST}{name}": value for name, value in best.items()}, figures)
            self._client.set_terminated(self.run_id)

    def fail(self) -> None:
        """Close it without an outcome; raises ServiceUnavailableError."""
        with self._registry.explained():
            self._client.set_terminated(self.run_id, "FAILED")

    def _log(self, run_id: str, params: Mapping[str, Any], figures: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        self._client.log_batch(
            run_id,
            metrics=[Metric(metric_key(name), value, now, 0) for name, value in figures.items()],
            # repr keeps every digit of a float.
            params=[Param(name, repr(value)) for name, value in params.items()],
        )


def known_best(registry: Registry) -> KnownBest | None:
    """Return the outcome of the latest tuning that was finished; None before the first.

    Raises ServiceUnavailableError.
    """
    client = mlflow.MlflowClient()
    with registry.explained():
        experiment = client.get_experiment_by_name(registry.settings.model_name)
        if experiment is None:
            return None
        runs = client.search_runs(
            [experiment.experiment_id],
            f"tags.`{KIND}` = '{TUNING}' and attributes.status = 'FINISHED'",
            max_results=1,
            order_by=["attributes.start_time DESC"],
        )
    if not runs:
        return None
    params = {
        name.removeprefix(BEST): _number(text)
        for name, text in runs[0].data.params.items()
        if name.startswith(BEST)
    }
    return KnownBest(runs[0].info.run_id, params)


def choose_parameters(registry: Registry, given: Mapping[str, Any]) -> tuple[Hyperparameters, str]:
    """Return the parameters of a training and who chose them: what is ``given`` wins over the latest tuning.

    Raises ServiceUnavailableError.
    """
    best = known_best(registry)
    # A tuning by another version of this code may have known other parameters.
    names = {field.name for field in fields(Hyperparameters)}
    tuned = {name: value for name, value in best.params.items() if name in names} if best else {}
    by = f"tuning run {best.run_id}" if best else DEFAULTS
    if given:
        by = f"{GIVEN}: {', '.join(sorted(given))}; else {by}"
    return Hyperparameters(**(tuned | dict(given))), by


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdecimal() else float(text)
