"""The checks of a model that no metric makes: each way to fail, and a model that passes."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from dataflix_recommender import ArtifactError, ConfidenceWeights, Item, ItemCatalogue, Model, ModelInfo
from dataflix_trainer.promotion import health
from dataflix_trainer.promotion.health import Health, check_health

FINE = Health(finite=True, learnt=1.0, list_s=0.002, artifact_bytes=1 << 20)


@pytest.fixture
def artifact(tmp_path: Path, weights: ConfidenceWeights) -> Path:
    factors = np.random.default_rng(1).normal(size=(1200, 8)).astype(np.float32)
    info = ModelInfo(datetime.now(UTC), 8, 0.5, 1.0, 1, 1, 1, 1200, 1)
    catalogue = ItemCatalogue.from_items([Item(i, f"Movie {i}") for i in range(1200)])
    Model(info, np.arange(1200, dtype=np.int64), factors, catalogue, weights).save(tmp_path / "model")
    return tmp_path / "model"


def test_a_model_that_can_serve_has_no_problem(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # By a clock of its own: nothing here depends on how fast this machine is.
    clock = itertools.count(0, 0.001)
    monkeypatch.setattr("dataflix_trainer.promotion.health.time.thread_time", lambda: next(clock))
    found = check_health(artifact)
    assert found.problem() is None
    assert found.finite
    assert found.learnt == 1
    assert found.list_s == pytest.approx(0.001)
    assert found.artifact_bytes == sum(file.stat().st_size for file in artifact.iterdir())
    assert "1.0 ms" in str(found)


def test_a_slow_model_is_one_that_takes_cpu_time(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(0, 0.05)
    monkeypatch.setattr("dataflix_trainer.promotion.health.time.thread_time", lambda: next(clock))
    assert "takes 50 ms" in (check_health(artifact).problem() or "")


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (replace(FINE, finite=False), "not finite"),
        (replace(FINE, learnt=0.0), "all its factors are zero"),
        (replace(FINE, list_s=0.5), "takes 500 ms of CPU time, at most 30"),
        (replace(FINE, artifact_bytes=health.MAX_ARTIFACT_BYTES + 1), "2,048 MiB"),
    ],
)
def test_each_problem_is_named(found: Health, message: str) -> None:
    assert message in (found.problem() or "")


def test_a_damaged_artifact_is_not_examined(artifact: Path) -> None:
    file = artifact / "item_factors.npy"
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(ArtifactError, match="SHA-256"):
        check_health(artifact)
