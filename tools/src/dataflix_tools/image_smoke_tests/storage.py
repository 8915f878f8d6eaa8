"""The folder that keeps images and build steps from run to run."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dataflix_common.locks import exclusive_lock
from dataflix_tools.image_smoke_tests.buildah import Buildah

_ROOT = Path(__file__).resolve().parents[4]
_LOCKS = ("requirements.lock", "airflow/requirements.lock", "superset/requirements.lock")


def default_folder() -> Path:
    """Return the folder of the user's caches for our images."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dataflix" / "images"


@contextmanager
def storage(folder: Path) -> Iterator[Buildah]:
    """Use the storage in a folder, which two runs share one after the other.

    A storage of other locks is deleted first: most of its build steps hold packages of those locks, and no
    build would use or remove them again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder.with_name(folder.name + ".lock"), wait=True):
        buildah = Buildah(folder)
        buildah.remove_containers()
        mark = folder / "locks"
        current = hashlib.sha256(b"".join((_ROOT / name).read_bytes() for name in _LOCKS)).hexdigest()
        if not mark.exists() or mark.read_text() != current:
            shutil.rmtree(folder)
            folder.mkdir()
            mark.write_text(current)
        for log in folder.glob("*.log"):
            log.unlink()
        yield buildah
