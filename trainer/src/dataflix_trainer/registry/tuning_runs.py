"""Tunings in MLflow: a parent run for each tuning, and a child run for each of its trials."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import mlflow
from mlflow.entities import Metric, Param, Run

from dataflix_recommender import OWN_SOURCE, SourceIdentity
from dataflix_trainer.errors import RegistryError
from dataflix_trainer.registry.registry import Registry, metric_key

KIND = "dataflix.kind"
TUNING, TRIAL = "tuning", "tuning trial"
STUDY = "dataflix.study"
# The database of the data that were tuned on. Tunings from before December 2026 do not say it: they were on
# our own.
SOURCE = "dataflix.source"
# On a tuning that trainings no longer use.
RESET = "dataflix.reset"
PARENT = "mlflow.parentRunId"
RUN_NAME = "mlflow.runName"
BEST = "best_"


@dataclass(frozen=True, slots=True)
class TunedHyperparameters:
    """The parameters that a tuning found, and its run."""

    run_id: str
    params: dict[str, Any]


class TuningRun:
    """The MLflow run of one tuning, open until it is finished or failed.

    Every method raises ServiceUnavailableError when MLflow does not answer.
    """

    def __init__(self, registry: Registry, study: str, source: SourceIdentity) -> None:
        """Begin the run."""
        self._registry = registry
        self._client = mlflow.MlflowClient()
        with registry.translate_errors():
            experiment = mlflow.set_experiment(registry.settings.registered_model_name)
            self._experiment = experiment.experiment_id
            tags = {KIND: TUNING, STUDY: study, SOURCE: _text(source), RUN_NAME: f"tuning {study}"}
            self.run_id: str = self._client.create_run(self._experiment, tags=tags).info.run_id

    def log_trial(self, number: int, params: Mapping[str, Any], metric: str, value: float) -> None:
        """Log one trial as a child run."""
        tags = {KIND: TRIAL, PARENT: self.run_id, RUN_NAME: f"trial {number}"}
        with self._registry.translate_errors():
            run_id = self._client.create_run(self._experiment, tags=tags).info.run_id
            self._log(run_id, params, {metric: value})
            self._client.set_terminated(run_id)

    def finish(self, best: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Log the best parameters, which trainings use from now on, and end the run."""
        with self._registry.translate_errors():
            self._log(self.run_id, {f"{BEST}{name}": value for name, value in best.items()}, metrics)
            self._client.set_terminated(self.run_id)

    def fail(self) -> None:
        """End the run as failed."""
        with self._registry.translate_errors():
            self._client.set_terminated(self.run_id, "FAILED")

    def _log(self, run_id: str, params: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        self._client.log_batch(
            run_id,
            metrics=[Metric(metric_key(name), value, now, 0) for name, value in metrics.items()],
            # repr keeps every digit of a float.
            params=[Param(name, repr(value)) for name, value in params.items()],
        )


def latest_tuning(registry: Registry, source: SourceIdentity) -> TunedHyperparameters | None:
    """Return what the latest finished tuning on data of this source found; None without one.

    Parameters that are best for one application may be bad for another.

    Raises:
        RegistryError: it holds a parameter that is no number.
        ServiceUnavailableError: MLflow does not answer.
    """
    run = next(_used_tunings(registry, source), None)
    if run is None:
        return None
    run_id = run.info.run_id
    found = {name: text for name, text in run.data.params.items() if name.startswith(BEST)}
    try:
        params = {name.removeprefix(BEST): _number(text) for name, text in found.items()}
    except ValueError as error:
        raise RegistryError(
            f"the latest tuning, run {run_id} in MLflow, has a parameter that is no number ({error}). Delete "
            "the run there, or tune again: trainer tune"
        ) from error
    return TunedHyperparameters(run_id, params)


def reset_tunings(registry: Registry, source: SourceIdentity) -> int:
    """Let trainings no longer use the tunings on data of this source; returns how many there were.

    Raises:
        ServiceUnavailableError: MLflow does not answer.
    """
    client = mlflow.MlflowClient()
    runs = list(_used_tunings(registry, source))
    with registry.translate_errors():
        for run in runs:
            client.set_tag(run.info.run_id, RESET, str(int(time.time())))
    return len(runs)


def _used_tunings(registry: Registry, source: SourceIdentity) -> Iterator[Run]:
    """Yield the finished tunings of a source that were not reset, newest first."""
    client = mlflow.MlflowClient()
    with registry.translate_errors():
        experiment = client.get_experiment_by_name(registry.settings.registered_model_name)
        token = None
        while experiment is not None:
            page = client.search_runs(
                [experiment.experiment_id],
                f"tags.`{KIND}` = '{TUNING}' and attributes.status = 'FINISHED'",
                order_by=["attributes.start_time DESC"],
                page_token=token,
            )
            for run in page:
                tags = run.data.tags
                if RESET not in tags and tags.get(SOURCE, _text(OWN_SOURCE)) == _text(source):
                    yield run
            token = page.token
            if not token:
                return


def _text(source: SourceIdentity) -> str:
    return json.dumps(asdict(source), sort_keys=True)


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdecimal() else float(text)
