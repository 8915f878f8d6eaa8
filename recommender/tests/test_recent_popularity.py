"""The part of the score that is the same for all: how popular each item has been lately."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dataflix_recommender import (
    ArtifactError,
    History,
    InvalidModelError,
    Model,
    RecentPopularity,
    recent_values,
)
from dataflix_recommender.data.artifact import read_manifest, write_artifact
from dataflix_recommender.data.recent_popularity import MICROSECONDS_PER_DAY

NOW = 20_000 * MICROSECONDS_PER_DAY


def with_recent(model: Model, *, weight: float = 0.1, returning_weight: float = 0.0) -> Model:
    """The model with a recent popularity that falls from the first item to the last."""
    values = np.linspace(1, 0, model.size, dtype=np.float32)
    return Model(
        model.info,
        model.item_ids,
        model.item_factors,
        model.catalogue,
        model.weights,
        recent_popularity=RecentPopularity(values, weight, returning_weight, NOW),
    )


def days_ago(days: float) -> int:
    return NOW - int(days * MICROSECONDS_PER_DAY)


def test_an_event_counts_half_after_a_half_life() -> None:
    days = np.array([0, 0, 10, 10, 20], dtype=np.int64)
    values = recent_values(np.array([0, 0, 1, 1, 2]), NOW - days * MICROSECONDS_PER_DAY, 4, half_life_days=10)
    np.testing.assert_allclose(values, np.log1p([2, 1, 0.25, 0]) / np.log1p(2), rtol=1e-6)
    assert not recent_values(np.array([], int), np.array([], np.int64), 3, half_life_days=1).any()


def test_strength_grows_with_absence_and_history(model: Model) -> None:
    recent = RecentPopularity(np.ones(3, dtype=np.float32), 0.5, 2.0, NOW)
    last_at = np.array([NOW, days_ago(14), days_ago(10_000), NOW + MICROSECONDS_PER_DAY])
    strengths = recent.strengths(np.array([4, 4, 4, 4]), last_at)
    np.testing.assert_allclose(strengths, [0.5, 0.5 + 2 * 2 / 2, 0.5 + 2 * 2, 0.5], rtol=1e-5)
    assert recent.strengths(np.array([100]), np.array([days_ago(14)]))[0] == pytest.approx(0.5 + 10)
    assert recent.strengths(np.array([100])).tolist() == [0.5]


def test_scores_are_those_of_the_history_and_popularity(model: Model) -> None:
    recent = with_recent(model, weight=0.3, returning_weight=0.2)
    here, away = History([10, 50], [3.0, 1.0]), History([10, 50], [3.0, 1.0], last_at=days_ago(14))
    added = recent.recent_popularity.values
    np.testing.assert_allclose(recent.scores(here), model.scores(here) + 0.3 * added, rtol=1e-5, atol=1e-6)
    strength = 0.3 + 0.2 * np.sqrt(2) / 2
    np.testing.assert_allclose(
        recent.scores(away), model.scores(here) + strength * added, rtol=1e-5, atol=1e-6
    )


def test_reasons_sum_to_the_score_and_name_what_adds_most(model: Model) -> None:
    history = History([10, 50], [3.0, 1.0], [5.0, 3.5], last_at=days_ago(30))
    for weight in (0.001, 0.05, 1000.0):
        for item in with_recent(model, weight=weight).recommend(history, 20):
            reason = item.reason
            assert reason is not None
            of_history = sum(part.value for part in reason.contributions) + reason.remainder
            assert of_history + reason.popularity == pytest.approx(item.score, rel=1e-4, abs=1e-5)
            assert (reason.text == "Popular lately") == (reason.popularity > max(of_history, 0))
            assert (reason.kind == "trending") == (reason.text == "Popular lately")


def test_without_likes_the_list_is_the_popular_one(model: Model) -> None:
    for history in (History([], []), History([10], [-2.0], last_at=days_ago(30))):
        with_popularity = with_recent(model, weight=5.0).recommend(history, 5)
        assert with_popularity == model.recommend(history, 5)


def test_an_artifact_keeps_it(model: Model, tmp_path: Path) -> None:
    saved = with_recent(model, weight=0.3, returning_weight=0.2)
    saved.save(tmp_path / "model")
    history = History([10, 50], [3.0, 1.0], last_at=days_ago(40))
    np.testing.assert_array_equal(Model.load(tmp_path / "model").scores(history), saved.scores(history))


def test_an_artifact_without_it_is_scored_by_history_alone(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    manifest = read_manifest(tmp_path / "model")
    arrays = {name: np.load(tmp_path / "model" / f"{name}.npy") for name in manifest["files"]}
    del arrays["recent_popularity"]
    header = {name: manifest[name] for name in ("info", "genre_names", "kind_weights")}
    write_artifact(tmp_path / "older", arrays, header)
    history = History([10, 50], [3.0, 1.0], last_at=days_ago(40))
    np.testing.assert_array_equal(Model.load(tmp_path / "older").scores(history), model.scores(history))


@pytest.mark.parametrize("strengths", [{"weight": -1.0}, {"weight": "much"}, {"height": 3}])
def test_a_manifest_with_other_strengths_is_refused(
    model: Model, tmp_path: Path, strengths: dict[str, object]
) -> None:
    model.save(tmp_path / "model")
    manifest = read_manifest(tmp_path / "model")
    arrays = {name: np.load(tmp_path / "model" / f"{name}.npy") for name in manifest["files"]}
    header = {name: manifest[name] for name in ("info", "genre_names", "kind_weights", "recent_popularity")}
    header = json.loads(json.dumps(header))
    header["recent_popularity"] |= strengths
    write_artifact(tmp_path / "other", arrays, header)
    with pytest.raises(ArtifactError):
        Model.load(tmp_path / "other")


@pytest.mark.parametrize(
    ("values", "weight"),
    [([0.1, np.nan], 1.0), ([0.1, -0.1], 1.0), ([0.1, 0.2], np.inf), ([[0.1, 0.2]], 1.0)],
)
def test_impossible_values_are_refused(values: list[float], weight: float) -> None:
    with pytest.raises(InvalidModelError):
        RecentPopularity(np.array(values, dtype=np.float32), weight, 0.0, NOW)


def test_a_model_refuses_values_of_other_items(model: Model, make_model: Callable[..., Model]) -> None:
    with pytest.raises(InvalidModelError, match="recent popularity of 2"):
        Model(
            model.info,
            model.item_ids,
            model.item_factors,
            model.catalogue,
            model.weights,
            recent_popularity=RecentPopularity.empty(2),
        )
