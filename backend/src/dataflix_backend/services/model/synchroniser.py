"""Brings the champion from the model registry to the folder that the workers watch."""

import hashlib
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from dataflix_backend.services.model import files
from dataflix_common.locks import LockHeldError, exclusive_lock
from dataflix_common.model_registry import artifact_sha256
from dataflix_recommender import ArtifactError

# A promotion reaches the workers within a few of these.
POLL_INTERVAL_S = 1.0
# Pause before a champion that failed is downloaded again: it may be large.
RETRY_INTERVAL_S = 30.0
# How often the served files are hashed although their times and sizes are as before: disks rot.
VERIFY_INTERVAL_S = 600.0
# Next to the served version and the one before it, the newest that a rollback may need.
KEPT_VERSIONS = 3

_INCOMING_PREFIX = ".incoming-"
_LOCK = ".sync-lock"
_log = logging.getLogger(__name__)

_FileStates = frozenset[tuple[str, int, int, int, int]]


class SyncError(RuntimeError):
    """The synchroniser cannot work; the message says why."""


class UnsignedChampionError(RuntimeError):
    """The alias is on a version that no promotion let serve."""


class RegistryUnavailableError(RuntimeError):
    """The registry or its artifact store does not answer."""


@dataclass(frozen=True, slots=True)
class Champion:
    """The registered version to serve.

    Attributes:
        version: the version's number.
        source: where the registry keeps it; never used for another version.
        artifact_sha256: of the manifest of the artifact that its promotion signed; None without signature.
        hold: whether somebody holds it; no part of what is installed.
    """

    version: str
    source: str
    artifact_sha256: str | None
    hold: files.Hold | None = field(default=None, compare=False)

    @property
    def folder(self) -> str:
        """The name of its folder, unique also when a new registry counts from version 1 again."""
        return f"{self.version}-{hashlib.sha256(self.source.encode()).hexdigest()[:12]}"


class Registry(Protocol):
    """Where champions come from. All methods raise RegistryUnavailableError when it does not answer."""

    def champion(self) -> Champion | None:
        """Return the current champion, None while there is none."""

    def download(self, champion: Champion, target: Path) -> Path:
        """Download the artifact into the empty folder ``target``; returns the artifact's own folder."""


class Synchroniser:
    """Installs each new champion once it is complete and checked; otherwise the last good one stays."""

    def __init__(
        self, models_dir: Path, registry: Registry, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._models_dir = models_dir
        self._registry = registry
        self._clock = clock
        self._problem = ""
        self._refused: Champion | None = None
        self._retry_at = 0.0
        self._verified: tuple[Path, _FileStates, str | None] | None = None
        self._verify_at = 0.0
        self._status: files.ChampionStatus | None = None
        self._status_unwritten = False
        self._unsigned: Champion | None = None

    def run(self, stop: threading.Event) -> None:
        """Poll until ``stop`` is set."""
        while not stop.is_set():
            self.step()
            stop.wait(POLL_INTERVAL_S)

    def step(self) -> bool:
        """Look once and log each new problem; returns whether the champion, if there is one, is installed.

        ``champion.json`` gets the outcome, for the API's readiness; it stays while the registry is away.
        """
        champion = None
        try:
            champion = self._registry.champion()
            (self._models_dir / files.REGISTRY_REACHED).touch()
            if champion is not None:
                self._install(champion)
        except (RegistryUnavailableError, UnsignedChampionError, ArtifactError, OSError) as error:
            self._log_change(f"{type(error).__name__}: {error}")
            if champion is not None:
                self._publish_status(champion, _public_reason(champion, error))
            return False
        if champion == self._refused and champion is not None:
            return False
        self._log_change("")
        self._publish_status(champion, "")
        return True

    def _install(self, champion: Champion) -> None:
        if champion == self._refused and self._clock() < self._retry_at:
            return
        current = self._current()
        is_served = current is not None and current.path == champion.folder
        expected = champion.artifact_sha256
        if is_served and self._is_intact(self._models_dir / champion.folder, expected):
            self._refused = None
            self._log_unsigned(champion)
            return
        self._refused, self._retry_at = champion, self._clock() + RETRY_INTERVAL_S
        if expected is None and is_served:
            # Promoted before there were signatures: what was installed then may be fetched again, nothing
            # else.
            expected = _manifest_sha256(self._models_dir / champion.folder)
        if expected is None:
            raise UnsignedChampionError(
                f"Version {champion.version} is not served: no promotion signed that it serves. To judge and "
                f"sign it: trainer promote {champion.version}"
            )
        self._download(champion, expected)
        # The time of its promotion, also after a rollback: the oldest folders are removed first.
        os.utime(self._models_dir / champion.folder)
        # Written also when only the folder was repaired: it makes the workers load it again.
        previous = None if current is None else current.previous if is_served else current.entry
        files.write_current(self._models_dir, files.ModelEntry(champion.version, champion.folder), previous)
        self._refused = None
        _log.info("champion installed", extra={"version": champion.version, "folder": champion.folder})
        self._remove_old_versions()

    def _current(self) -> files.Current | None:
        try:
            return files.read_current(self._models_dir)
        except ValueError as error:
            # The champion is installed again, which rewrites the file.
            self._log_change(str(error))
            return None

    def _is_intact(self, folder: Path, expected: str | None) -> bool:
        """Return whether the served artifact is as it was installed, and the one that was signed, if any was.

        It is read again at the first call, when a file has changed, and after ``VERIFY_INTERVAL_S``.
        """
        try:
            states = _file_states(folder)
            if self._verified == (folder, states, expected) and self._clock() < self._verify_at:
                return True
            _load_expected(folder, expected)
        except (ArtifactError, OSError) as error:
            self._verified = None
            _log.warning(
                "served model is damaged, fetching it again",
                extra={"folder": folder.name, "reason": str(error)},
            )
            return False
        self._verified, self._verify_at = (folder, states, expected), self._clock() + VERIFY_INTERVAL_S
        return True

    def _download(self, champion: Champion, expected: str) -> None:
        """Make the champion's folder; raises ArtifactError when it is damaged or not what is expected."""
        target = self._models_dir / champion.folder
        if target.exists():
            try:
                _load_expected(target, expected)
            except ArtifactError as error:
                _log.warning("kept model is damaged", extra={"folder": target.name, "reason": str(error)})
            else:
                return
        staging = Path(tempfile.mkdtemp(prefix=_INCOMING_PREFIX, dir=self._models_dir))
        try:
            artifact = self._registry.download(champion, staging)
            _load_expected(artifact, expected)
            if target.exists():
                target.replace(staging / "damaged")
            artifact.replace(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _remove_old_versions(self) -> None:
        current = files.read_current(self._models_dir)
        if current is None:
            return
        in_use = {current.path} | ({current.previous.path} if current.previous else set())
        folders = [folder for folder in self._models_dir.iterdir() if folder.is_dir()]
        versions = [folder for folder in folders if not folder.name.startswith(".")]
        newest_first = sorted(versions, key=lambda folder: folder.stat().st_mtime, reverse=True)
        for folder in newest_first[KEPT_VERSIONS:]:
            if folder.name not in in_use:
                shutil.rmtree(folder)
                _log.info("old model removed", extra={"folder": folder.name})
        for folder in folders:
            # Left by a killed download. No other download runs: we hold the lock.
            if folder.name.startswith(_INCOMING_PREFIX):
                shutil.rmtree(folder, ignore_errors=True)

    def _publish_status(self, champion: Champion | None, problem: str) -> None:
        status = files.ChampionStatus(
            champion.version if champion else None, problem, champion.hold if champion else None
        )
        if status == self._status:
            return
        try:
            files.write_champion(self._models_dir, status)
        except OSError as error:
            # The disk is full, say: the next look tries again, and the API goes on saying what it said.
            if not self._status_unwritten:
                _log.warning("state of the champion not written", extra={"reason": str(error)})
            self._status_unwritten = True
        else:
            self._status, self._status_unwritten = status, False

    def _log_unsigned(self, champion: Champion) -> None:
        unsigned = champion if champion.artifact_sha256 is None else None
        if unsigned is not None and unsigned != self._unsigned:
            _log.warning(
                "served model is not signed",
                extra={
                    "version": champion.version,
                    "reason": "it was promoted before there were signatures, or with another key; it goes on "
                    "serving, and the next run of the pipeline judges it",
                },
            )
        self._unsigned = unsigned

    def _log_change(self, problem: str) -> None:
        if problem and problem != self._problem:
            _log.warning("champion not installed", extra={"reason": problem})
        elif self._problem and not problem:
            _log.info("registry and champion recovered")
        self._problem = problem


def _public_reason(champion: Champion, error: Exception) -> str:
    """Return what everybody may read of an error: no address and no path."""
    if isinstance(error, UnsignedChampionError):
        return str(error)
    version = f"Version {champion.version} cannot be served"
    if isinstance(error, ArtifactError):
        return f"{version}: {error.file.name} {error.reason}"
    if isinstance(error, RegistryUnavailableError):
        return f"{version}: it cannot be downloaded."
    return f"{version}: {error.strerror if isinstance(error, OSError) else type(error).__name__}"


def _load_expected(folder: Path, expected: str | None) -> None:
    """Raise ArtifactError unless the artifact can be loaded and is the expected one, if one is expected."""
    files.load_model(folder)
    if expected is not None and _manifest_sha256(folder) != expected:
        raise ArtifactError(folder, "is not the artifact that was promoted")


def _manifest_sha256(folder: Path) -> str | None:
    try:
        return artifact_sha256(folder)
    except OSError:
        return None


def _file_states(folder: Path) -> _FileStates:
    """Return what changes when a file of the folder is written to, replaced or removed."""
    states = ((file.name, file.stat()) for file in folder.iterdir())
    return frozenset((name, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for name, s in states)


@contextmanager
def sync_lock(models_dir: Path) -> Iterator[None]:
    """Make the models' folder and hold its lock.

    Raises:
        SyncError: the folder cannot be written, or another process holds the lock.
    """
    with ExitStack() as stack:
        try:
            models_dir.mkdir(parents=True, exist_ok=True)
            stack.enter_context(exclusive_lock(models_dir / _LOCK))
        except LockHeldError as error:
            raise SyncError(f"another sync-model works on {models_dir}") from error
        except OSError as error:
            raise SyncError(f"cannot write to {models_dir}: {error}. DATAFLIX_HOME moves it.") from error
        yield
