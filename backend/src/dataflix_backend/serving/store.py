"""The model that a worker serves: swapped as one reference, never for a bad one."""

import logging
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from dataflix_backend.serving import files
from dataflix_recommender import ArtifactError, Model

# A promotion or rollback is served within this time after the synchroniser has it.
WATCH_INTERVAL_S = 0.5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Served:
    """What answers: a model, where it comes from, and since when this worker has it.

    ``version`` is None for the popularity stand-in.
    """

    model: Model
    version: str | None
    source: Literal["model", "popularity"]
    loaded_at: datetime
    age_when_loaded_s: float = field(init=False)
    _loaded_at_s: float = field(init=False)

    def __post_init__(self) -> None:
        """Note the age by the clocks of this moment."""
        age_s = (self.loaded_at - self.model.info.trained_at).total_seconds()
        object.__setattr__(self, "age_when_loaded_s", max(0.0, age_s))
        object.__setattr__(self, "_loaded_at_s", time.monotonic())

    def age_s(self) -> float:
        """Return how old the model is: at least as old as it has been here, whatever the day's clock says."""
        by_the_day = (datetime.now(UTC) - self.model.info.trained_at).total_seconds()
        return max(by_the_day, self.age_when_loaded_s + time.monotonic() - self._loaded_at_s)


class ModelStore:
    """Keeps the model named by ``current.json`` in memory; ``served`` is None until there is one.

    A request reads ``served`` once and uses that object to its end, so an answer never mixes two versions.
    """

    def __init__(self, models_dir: Path) -> None:
        self.models_dir = models_dir
        self.served: Served | None = None
        self._seen: tuple[int, ...] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="model-watcher", daemon=True)

    def start(self) -> None:
        """Load the present model and watch for the next one."""
        self.refresh()
        self._thread.start()

    def stop(self) -> None:
        """End the watcher."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def refresh(self) -> None:
        """Take up what ``current.json`` names, if it has changed since the last look.

        What cannot be loaded is logged once and left aside: the last good model stays. A worker that has none
        yet tries the version before it.
        """
        try:
            status = (self.models_dir / files.CURRENT).stat()
        except OSError:
            return
        seen = (status.st_mtime_ns, status.st_ino, status.st_size)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            current = files.read_current(self.models_dir)
        except (OSError, ValueError) as error:
            _log.error("current model unknown", extra={"reason": str(error)})
            return
        if current is None:
            return
        if not self._take(current.entry) and self.served is None and current.previous is not None:
            self._take(current.previous)

    def _take(self, entry: files.ModelEntry) -> bool:
        try:
            model = files.load_model(self.models_dir / entry.path)
        except (ArtifactError, OSError) as error:
            kept = self.served.version if self.served else None
            _log.error("model refused", extra={"version": entry.version, "kept": kept, "reason": str(error)})
            return False
        self.served = Served(model, entry.version, "model", datetime.now(UTC))
        _log.info("model loaded", extra={"version": entry.version})
        return True

    def _watch(self) -> None:
        while not self._stop.wait(WATCH_INTERVAL_S):
            try:
                self.refresh()
            except Exception:  # noqa: BLE001 - logged in full
                # The thread must live: without it no later model would ever be taken up.
                _log.exception("model watcher failed")
