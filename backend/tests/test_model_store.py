"""What a worker serves when models are added, removed and damaged."""

import json
import logging
from pathlib import Path

import pytest

from dataflix_backend.services.model import files
from dataflix_backend.services.model import store as store_module
from dataflix_backend.services.model.store import ModelStore
from dataflix_backend.source import OUR_TABLES
from dataflix_recommender import ArtifactError, ConfidenceWeights, Model

from .support.log_records import records_of
from .support.models import publish


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


def damage(artifact: Path) -> None:
    """Flip one byte in the middle of the factors."""
    file = artifact / "item_factors.npy"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.with_suffix(".new").write_bytes(content)
    file.with_suffix(".new").replace(file)


def version(store: ModelStore) -> str | None:
    return store.loaded.version if store.loaded else None


def test_each_new_model_is_loaded(folder: Path, model: Model) -> None:
    store = ModelStore(folder, lambda: OUR_TABLES)
    store.refresh()
    assert store.loaded is None
    for name in ("1", "2", "1"):
        publish(folder, name, model)
        store.refresh()
        assert version(store) == name


def test_unchanged_file_is_not_loaded_again(folder: Path, model: Model) -> None:
    publish(folder, "1", model)
    store = ModelStore(folder, lambda: OUR_TABLES)
    store.refresh()
    first = store.loaded
    store.refresh()
    assert store.loaded is first


def test_damaged_model_is_refused_once_and_the_good_one_stays(
    folder: Path, model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    publish(folder, "1", model)
    store = ModelStore(folder, lambda: OUR_TABLES)
    store.refresh()
    publish(folder, "2", model)
    damage(folder / "2-test")
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            store.refresh()
    assert version(store) == "1"
    (record,) = records_of(caplog, "dataflix_backend.services.model.store")
    assert record.message == "model refused"
    assert "item_factors.npy" in record.__dict__["reason"]
    publish(folder, "3", model)
    store.refresh()
    assert version(store) == "3"


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"version": "2"}', '{"version": 1, "other": 2}'])
def test_broken_current_file_changes_nothing(folder: Path, model: Model, content: str) -> None:
    publish(folder, "1", model)
    store = ModelStore(folder, lambda: OUR_TABLES)
    store.refresh()
    (folder / files.CURRENT).write_text(content)
    store.refresh()
    assert version(store) == "1"


def test_removed_file_changes_nothing(folder: Path, model: Model) -> None:
    publish(folder, "1", model)
    store = ModelStore(folder, lambda: OUR_TABLES)
    store.refresh()
    (folder / files.CURRENT).unlink()
    store.refresh()
    assert version(store) == "1"


def test_a_model_that_was_repaired_is_loaded_without_a_new_pointer(
    folder: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(folder, "1", model)
    publish(folder, "2", model)
    damage(folder / "2-test")
    worker = ModelStore(folder, lambda: OUR_TABLES)
    worker.refresh()
    damage(folder / "2-test")  # flips the same byte back
    worker.refresh()
    assert version(worker) == "1"  # not before the pause has passed
    monkeypatch.setattr(store_module, "RETRY_INTERVAL_S", 0.0)
    late = ModelStore(folder, lambda: OUR_TABLES)
    damage(folder / "2-test")
    late.refresh()
    assert version(late) == "1"
    damage(folder / "2-test")
    late.refresh()
    assert version(late) == "2"


def test_new_worker_falls_back_to_the_previous_model(folder: Path, model: Model) -> None:
    publish(folder, "1", model)
    publish(folder, "2", model)
    damage(folder / "2-test")
    store = ModelStore(folder, lambda: OUR_TABLES)
    store.refresh()
    assert version(store) == "1"


def test_model_that_cannot_weigh_every_event_is_refused(folder: Path, model: Model) -> None:
    few = ConfidenceWeights.from_rows([(0.0, "unknown", 1.0), (4.0, "unknown", 2.0)])
    Model(model.info, model.item_ids, model.item_factors, model.catalogue, few).save(folder / "few")
    with pytest.raises(ArtifactError, match="has no weight for some kind of event"):
        files.load_model(folder / "few")


def test_current_file_names_the_version_before(folder: Path, model: Model) -> None:
    publish(folder, "1", model)
    publish(folder, "2", model)
    written = json.loads((folder / files.CURRENT).read_text())
    assert written["version"] == "2"
    assert written["path"] == "2-test"
    assert written["previous"] == {"version": "1", "path": "1-test"}
    assert list(folder.glob(".current-*")) == []
