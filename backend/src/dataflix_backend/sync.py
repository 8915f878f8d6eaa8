"""Brings the champion from the model registry to the folder that the workers watch."""

import fcntl
import hashlib
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dataflix_backend.serving import files
from dataflix_recommender import ArtifactError

# A promotion reaches the workers within a few of these.
POLL_INTERVAL_S = 1.0
# After a champion that could not be taken up, the wait before it is fetched again: it may be large.
RETRY_INTERVAL_S = 30.0
# Besides the served version and the one before it, the newest that a rollback could want.
KEPT_VERSIONS = 3

_INCOMING_PREFIX = ".incoming-"
_LOCK = ".sync-lock"
_log = logging.getLogger(__name__)


class SyncError(RuntimeError):
    """The synchroniser cannot work; the message tells why."""


class RegistryUnavailableError(RuntimeError):
    """The registry or its artifact store did not answer."""


@dataclass(frozen=True, slots=True)
class Champion:
    """A registered version; ``source`` is where the registry keeps it, never used twice."""

    version: str
    source: str

    @property
    def folder(self) -> str:
        """The name of its folder: a registry that was made anew counts its versions from 1 again."""
        return f"{self.version}-{hashlib.sha256(self.source.encode()).hexdigest()[:12]}"


class Registry(Protocol):
    """Where champions come from; every method raises RegistryUnavailableError when it does not answer."""

    def champion(self) -> Champion | None:
        """Return the present champion, None while there is none."""

    def download(self, champion: Champion, target: Path) -> Path:
        """Fetch the artifact into the empty folder ``target``; returns the artifact's own folder."""


class Synchroniser:
    """Takes up each new champion once it is whole and sound; the last good one stays otherwise."""

    def __init__(
        self, models_dir: Path, registry: Registry, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._models_dir = models_dir
        self._registry = registry
        self._clock = clock
        self._problem = ""
        self._refused: Champion | None = None
        self._retry_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Poll until ``stop`` is set."""
        while not stop.is_set():
            self.step()
            stop.wait(POLL_INTERVAL_S)

    def step(self) -> bool:
        """Look once; returns whether the champion is in effect, or there is none. Logs each new problem."""
        try:
            champion = self._registry.champion()
            (self._models_dir / files.REGISTRY_REACHED).touch()
            if champion is not None:
                self._take_up(champion)
        except (RegistryUnavailableError, ArtifactError, OSError) as error:
            self._tell(f"{type(error).__name__}: {error}")
            return False
        if champion != self._refused:
            self._tell("")
        return champion is None or champion != self._refused

    def _take_up(self, champion: Champion) -> None:
        current = self._current()
        if current is not None and current.path == champion.folder:
            self._refused = None
            return
        if champion == self._refused and self._clock() < self._retry_at:
            return
        self._refused, self._retry_at = champion, self._clock() + RETRY_INTERVAL_S
        self._fetch(champion)
        # As new as its promotion, also after a rollback: the collector goes by this.
        os.utime(self._models_dir / champion.folder)
        previous = current.entry if current else None
        files.write_current(self._models_dir, files.ModelEntry(champion.version, champion.folder), previous)
        self._refused = None
        _log.info("champion taken up", extra={"version": champion.version, "folder": champion.folder})
        self._collect_garbage()

    def _current(self) -> files.Current | None:
        try:
            return files.read_current(self._models_dir)
        except ValueError as error:
            # The champion is taken up anew, which writes the file anew.
            self._tell(str(error))
            return None

    def _fetch(self, champion: Champion) -> None:
        """Make the champion's folder; raises ArtifactError when what was fetched is not sound."""
        target = self._models_dir / champion.folder
        if target.exists():
            try:
                files.load_model(target)
            except ArtifactError as error:
                _log.warning("kept model is damaged", extra={"folder": target.name, "reason": str(error)})
                shutil.rmtree(target)
            else:
                return
        staging = Path(tempfile.mkdtemp(prefix=_INCOMING_PREFIX, dir=self._models_dir))
        try:
            artifact = self._registry.download(champion, staging)
            files.load_model(artifact)
            artifact.replace(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _collect_garbage(self) -> None:
        current = files.read_current(self._models_dir)
        if current is None:
            return
        in_use = {current.path} | ({current.previous.path} if current.previous else set())
        versions = [folder for folder in self._models_dir.iterdir() if folder.is_dir()]
        finished = [folder for folder in versions if not folder.name.startswith(".")]
        newest_first = sorted(finished, key=lambda folder: folder.stat().st_mtime, reverse=True)
        for folder in newest_first[KEPT_VERSIONS:]:
            if folder.name not in in_use:
                shutil.rmtree(folder)
                _log.info("old model removed", extra={"folder": folder.name})
        for folder in versions:
            # What a killed download has left; no other one is under way, we hold the lock.
            if folder.name.startswith(_INCOMING_PREFIX):
                shutil.rmtree(folder, ignore_errors=True)

    def _tell(self, problem: str) -> None:
        if problem and problem != self._problem:
            _log.warning("champion not taken up", extra={"reason": problem})
        elif self._problem and not problem:
            _log.info("registry and champion are well again")
        self._problem = problem


@contextmanager
def exclusive(models_dir: Path) -> Iterator[None]:
    """Make the folder and hold its lock; raises SyncError when that cannot be done."""
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        lock = (models_dir / _LOCK).open("w")
    except OSError as error:
        raise SyncError(f"cannot write to {models_dir}: {error}. DATAFLIX_HOME moves it.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SyncError(f"another sync-model works on {models_dir}") from error
        yield
