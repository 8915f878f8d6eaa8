"""The model that a worker serves. It is replaced in one step, and never by a damaged one."""

import logging
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from dataflix_backend.services.model import files
from dataflix_recommender import ArtifactError, Model

# A worker serves a new version this long after the synchroniser has it, at the latest.
WATCH_INTERVAL_S = 0.5
# Pause before a model that could not be loaded is tried again: reading a large one takes a second.
RETRY_INTERVAL_S = 30.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory, with its origin.

    Attributes:
        model: the model.
        version: its version in the registry, None for the popularity fallback.
        source: whether it was trained or computed from ratings.
        loaded_at: when this worker loaded it.
        age_when_loaded_s: seconds since the training at that moment.
    """

    model: Model
    version: str | None
    source: Literal["model", "popularity"]
    loaded_at: datetime
    age_when_loaded_s: float = field(init=False)
    _loaded_at_s: float = field(init=False)

    def __post_init__(self) -> None:
        """Record the age by the wall clock and the start of its growth by the monotonic clock."""
        age_s = (self.loaded_at - self.model.info.trained_at).total_seconds()
        object.__setattr__(self, "age_when_loaded_s", max(0.0, age_s))
        object.__setattr__(self, "_loaded_at_s", time.monotonic())

    def age_s(self) -> float:
        """Return the seconds since the training; they grow even when the wall clock is set back."""
        by_wall_clock = (datetime.now(UTC) - self.model.info.trained_at).total_seconds()
        return max(by_wall_clock, self.age_when_loaded_s + time.monotonic() - self._loaded_at_s)


class ModelStore:
    """Keeps the model that ``current.json`` names in memory.

    A request reads ``loaded`` once and uses that object until its end, so an answer never mixes two versions.

    Attributes:
        models_dir: the folder that the synchroniser writes.
        loaded: the model, None until there is one.
    """

    def __init__(self, models_dir: Path) -> None:
        self.models_dir = models_dir
        self.loaded: LoadedModel | None = None
        self._seen: tuple[int, ...] | None = None
        self._retry_at: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="model-watcher", daemon=True)

    def start(self) -> None:
        """Load the current model and watch for the next one."""
        self.refresh()
        self._thread.start()

    def stop(self) -> None:
        """End the watcher."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def refresh(self) -> None:
        """Load the model that ``current.json`` names, if the file has changed since the last call.

        A model that cannot be loaded is logged once and tried again after ``RETRY_INTERVAL_S``; the last good
        one stays. A worker that has no model yet tries the previous version.
        """
        try:
            status = (self.models_dir / files.CURRENT).stat()
        except OSError:
            return
        seen = (status.st_mtime_ns, status.st_ino, status.st_size)
        is_new = seen != self._seen
        if not is_new and (self._retry_at is None or time.monotonic() < self._retry_at):
            return
        self._seen, self._retry_at = seen, None
        try:
            current = files.read_current(self.models_dir)
        except (OSError, ValueError) as error:
            _log.error("current model unknown", extra={"reason": str(error)})
            return
        if current is None:
            return
        if self._load(current.entry, log_refusal=is_new):
            return
        self._retry_at = time.monotonic() + RETRY_INTERVAL_S
        if self.loaded is None and current.previous is not None:
            self._load(current.previous, log_refusal=is_new)

    def champion_problem(self) -> str | None:
        """Return why the registry's champion is not the loaded model; None when it is, or there is none."""
        problem = files.champion_problem(self.models_dir)
        if problem is None and self._retry_at is not None:
            return "The current model cannot be loaded; it is tried again."
        return problem

    def _load(self, entry: files.ModelEntry, *, log_refusal: bool) -> bool:
        try:
            model = files.load_model(self.models_dir / entry.path)
        except (ArtifactError, OSError) as error:
            kept = self.loaded.version if self.loaded else None
            if log_refusal:
                _log.error(
                    "model refused", extra={"version": entry.version, "kept": kept, "reason": str(error)}
                )
            return False
        self.loaded = LoadedModel(model, entry.version, "model", datetime.now(UTC))
        _log.info("model loaded", extra={"version": entry.version})
        return True

    def _watch(self) -> None:
        while not self._stop.wait(WATCH_INTERVAL_S):
            try:
                self.refresh()
            except Exception:  # noqa: BLE001 - logged in full
                # The thread must live: without it the worker would never load a later model.
                _log.exception("model watcher failed")
