"""From the registry's champion to the folder that the workers watch."""

import json
import logging
import os
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow as mlflow_client
import pytest
from mlflow.pyfunc import log_model
from mlflow.pyfunc.model import PythonModel

from dataflix_backend.services.model import files
from dataflix_backend.services.model import registry as registry_module
from dataflix_backend.services.model import synchroniser as synchroniser_module
from dataflix_backend.services.model.registry import MlflowRegistry
from dataflix_backend.services.model.store import ModelStore
from dataflix_backend.services.model.synchroniser import (
    Champion,
    RegistryUnavailableError,
    SyncError,
    Synchroniser,
    sync_lock,
)
from dataflix_backend.settings import SyncSettings
from dataflix_backend.source import OUR_TABLES
from dataflix_common.model_registry import artifact_sha256, promotion_signature, serving_signature
from dataflix_recommender import Model
from dataflix_testkit import MlflowServer

from .support.log_records import records_of
from .support.models import publish, taste_model
from .support.server import COMMAND, environment
from .test_model_store import damage


class FolderRegistry:
    """A registry that keeps its artifacts in folders."""

    def __init__(self) -> None:
        self.artifacts: dict[Champion, Path] = {}
        self.present: Champion | None = None
        self.away = False
        self.downloads = 0

    def register(
        self, version: str, artifact: Path, source: str = "models:/m", *, signed: bool = True
    ) -> Champion:
        champion = Champion(version, f"{source}-{version}", artifact_sha256(artifact) if signed else None)
        self.artifacts[champion] = artifact
        self.present = champion
        return champion

    def champion(self) -> Champion | None:
        if self.away:
            raise RegistryUnavailableError("connection refused")
        return self.present

    def download(self, champion: Champion, target: Path) -> Path:
        self.downloads += 1
        return Path(shutil.copytree(self.artifacts[champion], target / "dataflix-model"))


@pytest.fixture(scope="module")
def artifact(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("artifact") / "dataflix-model"
    model.save(path)
    return path


@pytest.fixture
def damaged(artifact: Path, tmp_path: Path) -> Path:
    copy = Path(shutil.copytree(artifact, tmp_path / "damaged"))
    damage(copy)
    return copy


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def current_version(folder: Path) -> str | None:
    current = files.read_current(folder)
    return current.version if current else None


class TestSynchroniser:
    def test_without_champion_nothing_is_served(self, folder: Path) -> None:
        assert Synchroniser(folder, FolderRegistry()).step()
        assert files.read_current(folder) is None
        assert files.registry_reached_at(folder) is not None

    def test_champion_is_fetched_once(self, folder: Path, artifact: Path) -> None:
        registry = FolderRegistry()
        registry.register("1", artifact)
        synchroniser = Synchroniser(folder, registry)
        assert all(synchroniser.step() for _ in range(3))
        current = files.read_current(folder)
        assert current is not None
        assert current.version == "1"
        assert files.load_model(folder / current.path).size > 0
        assert registry.downloads == 1

    def test_damaged_champion_is_logged_once_and_tried_again_later(
        self, folder: Path, artifact: Path, damaged: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        now = 0.0
        registry = FolderRegistry()
        synchroniser = Synchroniser(folder, registry, clock=lambda: now)
        registry.register("1", artifact)
        synchroniser.step()
        bad = registry.register("2", damaged)
        with caplog.at_level(logging.WARNING):
            assert not any(synchroniser.step() for _ in range(5))
        assert len(records_of(caplog, "dataflix_backend.services.model.synchroniser")) == 1
        assert registry.downloads == 2
        assert current_version(folder) == "1"
        assert [path.name for path in folder.iterdir() if path.is_dir()] == [
            Champion("1", "models:/m-1", None).folder
        ]
        registry.artifacts[bad] = artifact
        now = 31.0
        assert synchroniser.step()
        assert current_version(folder) == "2"

    def test_registry_away_keeps_the_model_and_is_logged_once(
        self, folder: Path, artifact: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        registry = FolderRegistry()
        registry.register("1", artifact)
        synchroniser = Synchroniser(folder, registry)
        synchroniser.step()
        reached = files.registry_reached_at(folder)
        registry.away = True
        with caplog.at_level(logging.INFO):
            assert not any(synchroniser.step() for _ in range(5))
            assert files.registry_reached_at(folder) == reached
            registry.away = False
            assert synchroniser.step()
        assert len(records_of(caplog, "dataflix_backend.services.model.synchroniser")) == 2
        assert current_version(folder) == "1"

    def test_champion_taken_away_keeps_the_model(self, folder: Path, artifact: Path) -> None:
        registry = FolderRegistry()
        registry.register("1", artifact)
        synchroniser = Synchroniser(folder, registry)
        synchroniser.step()
        registry.present = None
        assert synchroniser.step()
        assert current_version(folder) == "1"

    def test_old_versions_go_but_none_in_use(self, folder: Path, artifact: Path) -> None:
        registry = FolderRegistry()
        synchroniser = Synchroniser(folder, registry)
        champions = []
        for number in range(1, 7):
            champions.append(registry.register(str(number), artifact))
            assert synchroniser.step()
        kept = {path.name for path in folder.iterdir() if path.is_dir()}
        assert kept == {champion.folder for champion in champions[3:]}
        # Back to the oldest kept version, without another download.
        registry.present = champions[3]
        synchroniser.step()
        assert registry.downloads == 6
        current = files.read_current(folder)
        assert current is not None
        assert (current.version, current.previous) == ("4", files.ModelEntry("6", champions[5].folder))

    def test_kept_folder_that_was_damaged_is_fetched_again(self, folder: Path, artifact: Path) -> None:
        registry = FolderRegistry()
        first = registry.register("1", artifact)
        synchroniser = Synchroniser(folder, registry)
        synchroniser.step()
        registry.register("2", artifact)
        synchroniser.step()
        damage(folder / first.folder)
        registry.present = first
        assert synchroniser.step()
        assert registry.downloads == 3
        assert files.load_model(folder / first.folder)

    @pytest.mark.parametrize(
        "kind", ["truncated", "flipped", "no file", "no folder", "a file for the folder"]
    )
    @pytest.mark.parametrize("restarted", [False, True])
    def test_served_folder_that_was_damaged_is_fetched_again_and_loaded(
        self, folder: Path, artifact: Path, kind: str, *, restarted: bool
    ) -> None:
        registry = FolderRegistry()
        synchroniser = Synchroniser(folder, registry)
        before = registry.register("1", artifact)
        assert synchroniser.step()
        champion = registry.register("2", artifact)
        assert all(synchroniser.step() for _ in range(2))
        served = folder / champion.folder
        if kind == "truncated":
            os.truncate(served / "item_factors.npy", 200)
        elif kind == "flipped":
            damage(served)
        elif kind == "no file":
            (served / "gram.npy").unlink()
        else:
            shutil.rmtree(served)
            if kind == "only a file":
                served.touch()
        store = ModelStore(folder, lambda: OUR_TABLES)
        store.refresh()
        assert store.loaded is not None
        assert store.loaded.version == "1"
        if restarted:
            synchroniser = Synchroniser(folder, registry)
        registry.away = True
        assert not synchroniser.step()
        registry.away = False
        assert synchroniser.step()
        store.refresh()
        assert store.loaded.version == "2"
        current = files.read_current(folder)
        assert current is not None
        assert current.previous == files.ModelEntry("1", before.folder)
        assert registry.downloads == 3
        assert list(folder.glob(".incoming-*")) == []

    def test_served_folder_that_rots_unseen_is_found_in_time(self, folder: Path, artifact: Path) -> None:
        now = 0.0
        registry = FolderRegistry()
        synchroniser = Synchroniser(folder, registry, clock=lambda: now)
        champion = registry.register("1", artifact)
        assert all(synchroniser.step() for _ in range(2))
        damage(folder / champion.folder)
        states = synchroniser_module._file_states(folder / champion.folder)
        expected = champion.artifact_sha256
        synchroniser._verified = (
            folder / champion.folder,
            states,
            expected,
        )  # as if no time of the file had changed
        assert synchroniser.step()
        assert registry.downloads == 1
        now = synchroniser_module.VERIFY_INTERVAL_S + 1
        assert synchroniser.step()
        assert registry.downloads == 2

    def test_served_folder_stays_damaged_until_a_good_download(
        self, folder: Path, artifact: Path, damaged: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        now = 0.0
        registry = FolderRegistry()
        synchroniser = Synchroniser(folder, registry, clock=lambda: now)
        champion = registry.register("1", artifact)
        synchroniser.step()
        damage(folder / champion.folder)
        registry.artifacts[champion] = damaged
        with caplog.at_level(logging.WARNING):
            assert not any(synchroniser.step() for _ in range(5))
        assert registry.downloads == 2
        assert len(records_of(caplog, "dataflix_backend.services.model.synchroniser")) == 3
        registry.artifacts[champion] = artifact
        now = 31.0
        assert synchroniser.step()
        assert files.load_model(folder / champion.folder)

    def test_why_a_champion_is_not_served_is_written_for_the_workers(
        self, folder: Path, artifact: Path, tmp_path: Path
    ) -> None:
        old = Path(shutil.copytree(artifact, tmp_path / "old"))
        manifest = json.loads((old / "manifest.json").read_text())
        (old / "manifest.json").write_text(json.dumps(manifest | {"format_version": 2}))
        registry = FolderRegistry()
        synchroniser = Synchroniser(folder, registry)
        assert synchroniser.step()
        assert files.champion_problem(folder) is None
        registry.register("1", artifact)
        synchroniser.step()
        registry.register("2", old)
        assert not synchroniser.step()
        problem = files.champion_problem(folder)
        assert problem is not None
        assert problem.startswith("Version 2 cannot be served: manifest.json has format version 2; this code")
        assert str(folder) not in problem
        registry.away = True
        synchroniser.step()
        assert files.champion_problem(folder) == problem
        assert current_version(folder) == "1"
        registry.away = False
        registry.register("3", artifact)
        assert synchroniser.step()
        assert files.champion_problem(folder) is None

    def test_a_hold_is_written_for_the_workers_and_downloads_nothing(
        self, folder: Path, artifact: Path
    ) -> None:
        registry = FolderRegistry()
        champion = registry.register("1", artifact)
        synchroniser = Synchroniser(folder, registry)
        assert synchroniser.step()
        assert files.hold_of(folder, "1") is None
        hold = files.Hold("2026-11-30T08:00:00+00:00", "Why")
        registry.present = replace(champion, hold=hold)
        assert synchroniser.step()
        assert files.hold_of(folder, "1") == hold
        assert files.hold_of(folder, "2") is None
        registry.away = True
        synchroniser.step()
        assert files.hold_of(folder, "1") == hold
        registry.away = False
        registry.present = champion
        assert synchroniser.step()
        assert files.hold_of(folder, "1") is None
        assert registry.downloads == 1

    @pytest.mark.parametrize("content", ["", "{", "null", "[1]", '{"version": 1, "other": 2}'])
    def test_damaged_state_of_the_champion_is_no_error_of_the_api(self, folder: Path, content: str) -> None:
        (folder / files.CHAMPION).write_text(content)
        assert "cannot be read" in (files.champion_problem(folder) or "")
        assert Synchroniser(folder, FolderRegistry()).step()
        assert files.champion_problem(folder) is None

    def test_a_champion_of_before_signatures_goes_on_serving_and_is_repaired(
        self,
        folder: Path,
        artifact: Path,
        model: Model,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        registry = FolderRegistry()
        champion = registry.register("1", artifact, signed=False)
        publish(folder, "1", model)
        (folder / "1-test").rename(folder / champion.folder)
        files.write_current(folder, files.ModelEntry("1", champion.folder), None)
        synchroniser = Synchroniser(folder, registry)
        with caplog.at_level(logging.INFO):
            assert synchroniser.step()
            assert synchroniser.step()
        (told,) = [record for record in caplog.records if record.message == "served model is not signed"]
        assert "the next run of the pipeline judges it" in told.reason  # type: ignore[attr-defined]
        assert files.champion_problem(folder) is None
        damage(folder / champion.folder)
        assert synchroniser.step()
        assert files.load_model(folder / champion.folder)
        assert registry.downloads == 1
        # Other files under the same version are none of it.
        other = tmp_path / "other"
        taste_model({1: ["A"], 2: ["B"]}, {1: "One", 2: "Two"}).save(other)
        registry.artifacts[champion] = other
        damage(folder / champion.folder)
        assert not synchroniser.step()
        # And another unsigned version is refused.
        registry.register("2", artifact, signed=False)
        assert not synchroniser.step()
        assert "trainer promote 2" in (files.champion_problem(folder) or "")

    def test_a_new_registry_with_the_same_version_is_noticed(self, folder: Path, artifact: Path) -> None:
        registry = FolderRegistry()
        registry.register("1", artifact)
        synchroniser = Synchroniser(folder, registry)
        synchroniser.step()
        again = registry.register("1", artifact, source="models:/other")
        assert synchroniser.step()
        current = files.read_current(folder)
        assert current is not None
        assert current.path == again.folder
        assert registry.downloads == 2

    def test_damaged_current_file_is_rewritten(self, folder: Path, artifact: Path) -> None:
        registry = FolderRegistry()
        registry.register("1", artifact)
        (folder / files.CURRENT).write_text("{")
        assert Synchroniser(folder, registry).step()
        assert current_version(folder) == "1"

    def test_leftovers_of_a_killed_download_are_removed(self, folder: Path, artifact: Path) -> None:
        (folder / ".incoming-abc" / "half").mkdir(parents=True)
        registry = FolderRegistry()
        registry.register("1", artifact)
        Synchroniser(folder, registry).step()
        assert list(folder.glob(".incoming-*")) == []

    def test_full_disk_leaves_nothing_half_done(
        self, folder: Path, artifact: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        registry = FolderRegistry()
        registry.register("1", artifact)
        synchroniser = Synchroniser(folder, registry)
        synchroniser.step()
        registry.register("2", artifact)

        def full(*_: Any) -> Path:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(registry, "download", full)
        assert not synchroniser.step()
        assert current_version(folder) == "1"
        assert list(folder.glob(".incoming-*")) == []

    def test_two_at_once_are_refused(self, folder: Path) -> None:
        with sync_lock(folder), pytest.raises(SyncError, match="another sync-model"), sync_lock(folder):
            pass

    def test_stops_on_its_event(self, folder: Path) -> None:
        stop = threading.Event()
        thread = threading.Thread(target=Synchroniser(folder, FolderRegistry()).run, args=(stop,))
        thread.start()
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


class _Logged(PythonModel):
    """In place of the trainer's model; only its artifacts matter here."""

    def predict(
        self, context: Any, model_input: list[str], params: dict[str, Any] | None = None
    ) -> list[str]:
        return model_input


def named(server: MlflowServer, model: str) -> MlflowServer:
    """Return the server with another model's name in its environment."""
    return replace(server, environ={**server.environ, "DATAFLIX_MODEL_NAME": model})


@pytest.fixture(scope="module")
def registry_server(shared_mlflow: MlflowServer) -> MlflowServer:
    return named(shared_mlflow, "sync")


def sign(server: MlflowServer, version: str, artifact: str) -> None:
    """Let a version serve, as the trainer's promotion does."""
    name, key = server.environ["DATAFLIX_MODEL_NAME"], server.environ["DATAFLIX_MODEL_PROMOTION_KEY"]
    client = mlflow_client.MlflowClient()
    promoted_at = f"2026-05-1{version}T12:00:00+00:00"
    decided = {"promotion": "accepted", "promoted_at": promoted_at, "promoted_artifact_sha256": artifact}
    for tag, value in decided.items():
        client.set_model_version_tag(name, version, tag, value)
    found = client.get_model_version(name, version)
    signature = promotion_signature(key, name, version, str(found.run_id), found.tags)
    client.set_model_version_tag(name, version, "promotion_signature", signature)
    client.set_model_version_tag(name, version, "serving_signature", serving_signature(key, signature))


def register(server: MlflowServer, artifact: Path) -> str:
    """Log and register an artifact as the trainer does, and make it the champion."""
    model = server.environ["DATAFLIX_MODEL_NAME"]
    mlflow_client.set_tracking_uri(server.tracking_uri)
    # The current experiment is a setting of the process, so another test may have set one of its own.
    mlflow_client.set_experiment("sync")
    with mlflow_client.start_run():
        logged = log_model(
            name="model",
            python_model=_Logged(),
            artifacts={"model": str(artifact)},
            pip_requirements=[],
            registered_model_name=model,
        )
    version = str(logged.registered_model_version)
    sign(server, version, artifact_sha256(artifact))
    mlflow_client.MlflowClient().set_registered_model_alias(model, "champion", version)
    return version


class TestMlflow:
    def test_champions_are_served_as_they_are_promoted(
        self, registry_server: MlflowServer, artifact: Path, damaged: Path, tmp_path: Path
    ) -> None:
        home = tmp_path / "home"
        settings = SyncSettings.from_environ({**registry_server.environ, "DATAFLIX_HOME": str(home)})
        folder = settings.models_dir
        with sync_lock(folder):
            synchroniser = Synchroniser(folder, MlflowRegistry(settings))
            assert synchroniser.step()
            assert files.read_current(folder) is None
            first = register(registry_server, artifact)
            assert synchroniser.step()
            assert current_version(folder) == first
            mlflow_client.MlflowClient().delete_registered_model_alias("sync", "champion")
            assert synchroniser.step()
            assert current_version(folder) == first
            shutil.copytree(damaged, tmp_path / "dataflix-model")
            register(registry_server, tmp_path / "dataflix-model")
            assert not synchroniser.step()
            assert current_version(folder) == first
        self.check_command(registry_server, artifact, home)

    def test_a_champion_that_no_promotion_signed_is_not_installed(
        self, shared_mlflow: MlflowServer, artifact: Path, tmp_path: Path
    ) -> None:
        server = named(shared_mlflow, "unsigned")
        settings = SyncSettings.from_environ({**server.environ, "DATAFLIX_HOME": str(tmp_path)})
        client = mlflow_client.MlflowClient(server.tracking_uri)
        with sync_lock(settings.models_dir):
            registry = MlflowRegistry(settings)
            synchroniser = Synchroniser(settings.models_dir, registry)
            first = register(server, artifact)
            assert synchroniser.step()
            second = register(server, artifact)
            assert synchroniser.step()
            assert current_version(settings.models_dir) == second
            # Moved to the version before, whose serving ended; copied tags; a decision that was rewritten.
            client.delete_model_version_tag("unsigned", first, "serving_signature")
            good = client.get_model_version("unsigned", second).tags
            client.set_registered_model_alias("unsigned", "champion", first)
            for changes in ({}, good, good | {"promotion_reason": "better"}, {"serving_signature": "0" * 64}):
                for tag, value in changes.items():
                    client.set_model_version_tag("unsigned", first, tag, value)
                found = registry.champion()
                assert found is not None
                assert (found.version, found.artifact_sha256) == (first, None)
                assert not Synchroniser(settings.models_dir, registry).step()
                assert current_version(settings.models_dir) == second
                assert f"trainer promote {first}" in (files.champion_problem(settings.models_dir) or "")
            sign(server, first, artifact_sha256(artifact))
            assert synchroniser.step()
            assert current_version(settings.models_dir) == first
            # A signed version whose files are not those that were signed.
            sign(server, second, "0" * 64)
            client.set_registered_model_alias("unsigned", "champion", second)
            assert not synchroniser.step()
            assert "not the artifact that was promoted" in (files.champion_problem(settings.models_dir) or "")
            assert current_version(settings.models_dir) == first

    def check_command(self, server: MlflowServer, artifact: Path, home: Path) -> None:
        version = register(server, artifact)
        process = subprocess.Popen(
            [COMMAND, "sync-model"], env=environment(home, server.environ), stderr=subprocess.PIPE, text=True
        )
        try:
            while current_version(home / "models") != version:
                assert process.poll() is None
                time.sleep(0.05)
            second = subprocess.run(
                [COMMAND, "sync-model", "--once"],
                env=environment(home, server.environ),
                capture_output=True,
                text=True,
                check=False,
            )
            assert second.returncode == 1
            assert "another sync-model" in second.stderr
        finally:
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=30)
        assert process.returncode == 0
        assert '"event":"champion installed"' in log

    def test_registry_that_is_away_raises(self, tmp_path: Path) -> None:
        settings = SyncSettings.from_environ(
            {
                "DATAFLIX_MLFLOW_PORT": "1",
                "DATAFLIX_HOME": str(tmp_path),
                "DATAFLIX_MODEL_PROMOTION_KEY": "5e" * 32,
            }
        )
        with pytest.raises(RegistryUnavailableError):
            MlflowRegistry(settings).champion()


@pytest.mark.parametrize(
    ("tags", "hold"),
    [
        ({}, None),
        ({"held_reason": "left over"}, None),
        ({"held_at": "2026-11-30T09:00:00+01:00"}, files.Hold("2026-11-30T08:00:00+00:00")),
        ({"held_at": "soon", "held_reason": "x" * 999}, files.Hold(None, "x" * 200)),
        ({"held_at": "0001-01-01T00:00:00+14:00"}, files.Hold()),
    ],
)
def test_tags_of_a_hold_that_anybody_can_write_are_read(
    tags: dict[str, str], hold: files.Hold | None
) -> None:
    assert registry_module._hold(tags) == hold
