"""``trainer tune`` over real services: recorded, taken up again, and what the next training goes by."""

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mlflow
import numpy as np
import pytest
from click.testing import Result
from scipy.sparse import csr_matrix

from dataflix_recommender import OWN_SOURCE, SourceIdentity
from dataflix_trainer.data.holdout import HOLDOUT_SEED, latest_events, without_latest
from dataflix_trainer.data.interactions import Interactions
from dataflix_trainer.model.hyperparameters import Hyperparameters
from dataflix_trainer.model.search_space import SPACE, defaults
from dataflix_trainer.registry.registry import Registry
from dataflix_trainer.registry.tuning_runs import KIND, PARENT, TRIAL, TUNING
from dataflix_trainer.settings import MlflowSettings
from dataflix_trainer.training import choose_parameters

Trainer = Callable[..., Result]
# A registered model of its own: other tests train without a tuning.
NAME = "tuned-model"
OTHER = SourceIdentity("shop", "7345", 16400)


@dataclass
class Story:
    before: tuple[Hyperparameters, str]
    first: dict[str, Any]
    second: dict[str, Any]
    after: dict[str, Any]
    given: tuple[Hyperparameters, str]
    progress: list[str]
    elsewhere: tuple[Hyperparameters, str]
    forgotten: tuple[Hyperparameters, str]
    reset: dict[str, Any]
    third: dict[str, Any]


@pytest.fixture(scope="module")
def story(trainer: Trainer, services: Any) -> Story:
    """What is chosen before, two tunings, a training by them, and what is chosen with one parameter given.

    Then for data of another source; and after a reset, with a tuning that starts from nothing.
    """
    registry = Registry(MlflowSettings.from_environ(services.environ | {"DATAFLIX_MODEL_NAME": NAME}))

    def answer(*words: str) -> dict[str, Any]:
        result = trainer(*words, "--json", DATAFLIX_MODEL_NAME=NAME)
        assert result.exit_code == 0, result.output
        return dict(json.loads(result.stdout))

    progress: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: progress.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("dataflix_trainer.tuning.study").addHandler(handler)
    return Story(
        choose_parameters(registry, {}, OWN_SOURCE),
        answer("tune", "--budget=2"),
        answer("tune", "--budget=1"),
        answer("train"),
        choose_parameters(registry, {"factors": 9}, OWN_SOURCE),
        list(progress),
        choose_parameters(registry, {}, OTHER),
        reset=answer("tune", "--reset"),
        forgotten=choose_parameters(registry, {}, OWN_SOURCE),
        third=answer("tune", "--budget=1"),
    )


def test_a_tuning_tells_how_far_it_is(story: Story) -> None:
    begins = [line for line in story.progress if line.startswith("event=tuning_started ")]
    assert ["budget_s=2;" in begins[0], "budget_s=1;" in begins[1]] == [True, True]
    trials = [line for line in story.progress if line.startswith("event=trial ")]
    assert len(trials) == story.first["new_trials"] + story.second["new_trials"]
    assert re.search(r" ndcg@10=0\.\d{4} highest=0\.\d{4} after_s=\d+ budget_s=2 ", trials[0])


def test_the_best_is_never_worse_than_the_defaults(story: Story) -> None:
    for part in (story.first, story.second):
        assert part["validation_ndcg@10"] >= part["default_ndcg@10"] > 0
        assert set(part["params"]) == set(SPACE)
        assert part["users"] > 100
    assert story.second["validation_ndcg@10"] >= story.first["validation_ndcg@10"]


def test_a_search_goes_on_where_it_stopped(story: Story) -> None:
    assert story.first["trials"] == story.first["new_trials"] >= 1
    assert story.second["trials"] == story.first["trials"] + story.second["new_trials"]
    assert story.second["study"] == story.first["study"]


def test_every_trial_is_a_child_run_with_its_parameters_and_figure(story: Story) -> None:
    client = mlflow.MlflowClient()
    parent = client.get_run(story.first["mlflow_run_id"])
    assert parent.info.status == "FINISHED"
    assert parent.data.tags[KIND] == TUNING
    children = client.search_runs(
        [parent.info.experiment_id], f"tags.`{PARENT}` = '{parent.info.run_id}'", max_results=1000
    )
    assert len(children) == story.first["new_trials"]
    for child in children:
        assert child.data.tags[KIND] == TRIAL
        assert child.info.status == "FINISHED"
        assert set(child.data.params) == set(SPACE)
    # Not always the highest figure: what is better within noise alone does not win over the defaults.
    chosen = {name: str(value) for name, value in story.first["params"].items()}
    figures = [child.data.metrics["ndcg_at_10"] for child in children if child.data.params == chosen]
    assert parent.data.metrics["validation_ndcg_at_10"] in figures


def test_training_goes_by_the_latest_tuning_and_says_so(story: Story) -> None:
    assert story.before == (Hyperparameters(), "defaults")
    after = mlflow.MlflowClient().get_run(story.after["mlflow_run_id"]).data.params
    assert after["parameters_chosen_by"] == f"tuning run {story.second['mlflow_run_id']}"
    for name, value in story.second["params"].items():
        assert float(after[name]) == pytest.approx(value)


def test_what_is_given_wins_over_the_tuning(story: Story) -> None:
    parameters, chosen_by = story.given
    assert parameters == Hyperparameters(**(story.second["params"] | {"factors": 9}))
    assert chosen_by == f"given: factors; else tuning run {story.second['mlflow_run_id']}"


def test_a_tuning_belongs_to_its_source(story: Story) -> None:
    assert story.elsewhere == (Hyperparameters(), "defaults")


def test_after_a_reset_trainings_use_the_defaults_and_a_search_begins_anew(story: Story) -> None:
    assert story.reset == {"tunings": 2, "source": "Dataflix's own Postgres"}
    assert story.forgotten == (Hyperparameters(), "defaults")
    assert story.third["trials"] == story.third["new_trials"]


def test_the_search_begins_at_the_defaults() -> None:
    for name, value in defaults().items():
        assert value == getattr(Hyperparameters(), name)
        assert SPACE[name]._contains(SPACE[name].to_internal_repr(value)), name


def test_tuning_never_sees_what_promotion_is_judged_by() -> None:
    generator = np.random.default_rng(1)
    matrix = csr_matrix((generator.random((40, 30)) < 0.6).astype(np.float32))
    times = generator.integers(0, 1000, matrix.nnz)
    interactions = Interactions(np.arange(40), np.arange(30), matrix, times)
    judged = latest_events(interactions, seed=HOLDOUT_SEED)
    past = without_latest(interactions, seed=HOLDOUT_SEED)
    np.testing.assert_array_equal(past.matrix.toarray(), judged.train.toarray())
    validation = latest_events(past, seed=HOLDOUT_SEED)
    seen = np.zeros((40, 30))
    seen += validation.train.toarray()
    seen[validation.users] += validation.targets.toarray()
    judged_by = np.zeros((40, 30))
    judged_by[judged.users] = judged.targets.toarray()
    assert not np.any((seen != 0) & (judged_by != 0))
    # The times went along with their entries.
    moment = csr_matrix((times + 1, matrix.indices, matrix.indptr), matrix.shape).toarray()
    rows = np.repeat(np.arange(40), np.diff(past.matrix.indptr))
    np.testing.assert_array_equal(past.times + 1, moment[rows, past.matrix.indices])
