"""The storage of images: kept from run to run, deleted when a lock has changed."""

from pathlib import Path

import pytest

from dataflix_tools.image_smoke_tests import storage as storage_module
from dataflix_tools.image_smoke_tests.buildah import Buildah, Container
from dataflix_tools.image_smoke_tests.storage import storage


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with locks, and a buildah that does nothing."""
    for name in ("", "airflow", "superset"):
        folder = tmp_path / "project" / name
        folder.mkdir(exist_ok=True)
        (folder / "requirements.lock").write_text("alpha==1.0\n")
    monkeypatch.setattr(storage_module, "_ROOT", tmp_path / "project")
    monkeypatch.setattr(Buildah, "output", lambda *_: "")
    return tmp_path / "project"


def test_images_are_kept_while_the_locks_stay_the_same(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "images"
    with storage(folder):
        (folder / "an image").touch()
        (folder / "a service.log").touch()
    with storage(folder):
        assert (folder / "an image").exists()
        assert not (folder / "a service.log").exists()


@pytest.mark.parametrize("lock", ["requirements.lock", "airflow/requirements.lock"])
def test_a_changed_lock_empties_the_storage(project: Path, tmp_path: Path, lock: str) -> None:
    folder = tmp_path / "images"
    with storage(folder):
        (folder / "an image").touch()
    (project / lock).write_text("alpha==1.1\n")
    with storage(folder):
        assert not (folder / "an image").exists()
    with storage(folder):
        (folder / "an image").touch()
    with storage(folder):
        assert (folder / "an image").exists()


def test_files_outside_of_the_writable_folders_are_found(tmp_path: Path) -> None:
    owner = tmp_path.stat().st_uid
    container = Container(Buildah(tmp_path), "a container", tmp_path / "root", {"User": f"{owner}:{owner}"})
    for name in ("tmp/scratch", "var/lib/dataflix/state", "var/lib/stray", "opt/stray"):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "root" / "opt" / "link").symlink_to("stray")
    found = container.files_outside(("/tmp", "/var/lib/dataflix"))
    assert sorted(found) == ["/opt/stray", "/var/lib/stray"]


def test_the_id_of_an_image_is_read_from_aligned_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = "localhost/a                sha256:1a\nlocalhost/a-longer-name    sha256:2b"
    monkeypatch.setattr(Buildah, "output", lambda *_: listing)
    buildah = Buildah(tmp_path)
    ids = [buildah.image_id(name) for name in ("localhost/a", "localhost/a-longer-name", "localhost/b")]
    assert ids == ["sha256:1a", "sha256:2b", None]
