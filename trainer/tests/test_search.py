"""The search for parameters: a budget kept, never worse than the start, and taken up where it stopped."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from dataflix_trainer.errors import DataError
from dataflix_trainer.tuning import search as searching
from dataflix_trainer.tuning.search import lower_bound_gain, search

SPACE = {"x": FloatDistribution(-10, 10), "y": FloatDistribution(-10, 10)}


def hill(params: Mapping[str, Any]) -> np.ndarray:
    """The same height for each of twenty users."""
    return np.full(20, -float((params["x"] - 3) ** 2 + (params["y"] + 1) ** 2))


def test_it_climbs_and_one_seed_gives_one_answer() -> None:
    found, again = (
        search(hill, SPACE, {"x": -8, "y": 8}, seconds=1e9, max_trials=60, seed=1) for _ in range(2)
    )
    assert found.params == again.params
    assert found.trials == 60
    assert found.value > -4 > found.start_value == hill({"x": -8, "y": 8}).mean()


def test_it_is_never_worse_than_its_start() -> None:
    start = {"x": 3.0, "y": -1.0}
    found = search(hill, SPACE, start, seconds=1e9, max_trials=20, seed=1)
    assert found.params == start


def test_no_trial_begins_after_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr("dataflix_trainer.tuning.search.time.monotonic", lambda: next(clock))
    found = search(hill, SPACE, {"x": 0, "y": 0}, seconds=10, max_trials=50, seed=1)
    # The clock goes on by three at each look: one at the beginning, then one before each trial.
    assert found.trials == 4


def test_the_start_is_tried_whatever_the_budget() -> None:
    assert search(hill, SPACE, {"x": 0, "y": 0}, seconds=0, max_trials=50, seed=1).trials == 1


def test_a_search_is_taken_up_where_it_stopped(tmp_path: Path) -> None:
    reported: list[int] = []

    def once(trials: int) -> searching.TuningResult:
        return search(
            hill,
            SPACE,
            {"x": -8, "y": 8},
            seconds=1e9,
            max_trials=trials,
            seed=1,
            initial_trials=[{"x": 1.0}, {"x": 2.0}, {"y": 0.0}, {"y": 1.0}, {"y": 2.0}, {"y": 3.0}],
            name="a",
            storage=JournalStorage(JournalFileBackend(str(tmp_path / "journal"))),
            on_trial=lambda number, params, value: reported.append(number),
        )

    first = once(5)
    second = once(12)
    # The first had no time for all of its guesses: they are not forgotten, nor counted.
    assert len(reported) == len(set(reported)) == second.trials == 12
    assert second.value >= first.value
    study = optuna.load_study(
        study_name="a", storage=JournalStorage(JournalFileBackend(str(tmp_path / "journal")))
    )
    # What was drawn before is not drawn again.
    assert len({(trial.params["x"], trial.params["y"]) for trial in study.trials}) == 12


def test_what_cannot_be_fitted_is_passed_over_and_told_when_nothing_can() -> None:
    def half(params: Mapping[str, Any]) -> np.ndarray:
        if params["x"] < 0:
            raise DataError("no factors")
        return hill(params)

    found = search(half, SPACE, {"x": 8, "y": 8}, seconds=1e9, max_trials=20, seed=1)
    assert found.params["x"] >= 0
    assert found.trials == 20
    with pytest.raises(DataError, match="no factors"):
        search(half, SPACE, {"x": -8, "y": 8}, seconds=0, max_trials=1, seed=1)


def test_luck_is_no_reason_to_leave_the_start() -> None:
    # No parameters are better than others: each has figures of its own.
    def chance(params: Mapping[str, Any]) -> np.ndarray:
        return np.random.default_rng(int(abs(params["x"]) * 1e6)).random(20)

    start = {"x": 0.0, "y": 0.0}
    values = chance(start)
    assert lower_bound_gain(values, values) == 0
    # A gain that one user has alone is worth less than one that all share.
    assert lower_bound_gain(values + 0.1, values) == pytest.approx(0.1)
    alone = values.copy()
    alone[0] += 2
    assert lower_bound_gain(alone, values) < 0.1

    def hardly(params: Mapping[str, Any]) -> np.ndarray:
        moved = values.copy()
        if params["x"] != 0:
            moved[:2] += [0.3, -0.25]
        return moved

    assert search(hardly, SPACE, start, seconds=1e9, max_trials=20, seed=1).params == start


def test_guesses_are_tried_first() -> None:
    reported: list[Mapping[str, Any]] = []
    search(
        hill,
        SPACE,
        {"x": 0.0, "y": 5.0},
        seconds=1e9,
        max_trials=3,
        seed=1,
        initial_trials=[{"y": 1.0}, {"x": 2.0}],
        on_trial=lambda number, params, value: reported.append(dict(params)),
    )
    assert reported == [{"x": 0.0, "y": 5.0}, {"x": 0.0, "y": 1.0}, {"x": 2.0, "y": 5.0}]
