"""The model that a worker serves. It is replaced in one step, and never by a damaged one."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from dataflix_backend.services.model import files
from dataflix_backend.services.repeated import Repeated
from dataflix_backend.source import Source
from dataflix_recommender import OWN_SOURCE, ArtifactError, Model

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


def fits(model: Model, source: Source) -> bool:
    """Return whether a model is of the database that our tables have their rows from.

    Models of files, and ones from before models said it, are of our own tables.
    """
    found = model.info.source
    if found is None or found == OWN_SOURCE:
        return not source.is_copy
    ours = source.identity
    # The name may change with the description.
    return ours is not None and (found.system_identifier, found.database_oid) == (
        ours.system_identifier or "",
        ours.database_oid,
    )


def _other_source(model: Model, version: str | None, source: Source) -> str:
    """Return why a model does not serve."""
    return (
        f"Version {version} is a model of {model.info.source or OWN_SOURCE}, and the tables here are of "
        f"{source.identity or OWN_SOURCE}. The next run of the pipeline trains one of these."
    )


class ModelStore:
    """Keeps the model that ``current.json`` names in memory.

    A request reads ``loaded`` once and uses that object until its end, so an answer never mixes two versions.

    Attributes:
        models_dir: the folder that the synchroniser writes.
        watching: loads the next model.
    """

    def __init__(self, models_dir: Path, source: Callable[[], Source]) -> None:
        """Make a store for the tables of ``source``: a model of another one does not serve."""
        self.models_dir = models_dir
        self._source = source
        self._loaded: LoadedModel | None = None
        self._other_source = ""
        self._seen: tuple[int, ...] | None = None
        self._retry_at: float | None = None
        self.watching = Repeated(self.refresh, WATCH_INTERVAL_S, "model-watcher")

    @property
    def loaded(self) -> LoadedModel | None:
        """The model; None until there is one, and while it is of another source than our tables are now."""
        loaded = self._loaded
        return loaded if loaded is not None and fits(loaded.model, self._source()) else None

    def start(self) -> None:
        """Load the current model and watch for the next one."""
        self.refresh()
        self.watching.start()

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
        if self._loaded is None and current.previous is not None:
            self._load(current.previous, log_refusal=is_new)

    def champion_problem(self) -> str | None:
        """Return why the registry's champion is not the loaded model; None when it is, or there is none."""
        problem = files.champion_problem(self.models_dir)
        if problem is not None:
            return problem
        if self._retry_at is not None:
            return self._other_source or "The current model cannot be loaded; it is tried again."
        loaded = self._loaded
        if loaded is not None and not fits(loaded.model, self._source()):
            return _other_source(loaded.model, loaded.version, self._source())
        return None

    def _load(self, entry: files.ModelEntry, *, log_refusal: bool) -> bool:
        self._other_source = ""
        try:
            model = files.load_model(self.models_dir / entry.path)
        except (ArtifactError, OSError) as error:
            self._log_refusal(entry, str(error), log_refusal=log_refusal)
            return False
        source = self._source()
        if not fits(model, source):
            self._other_source = _other_source(model, entry.version, source)
            self._log_refusal(entry, self._other_source, log_refusal=log_refusal)
            return False
        self._loaded = LoadedModel(model, entry.version, "model", datetime.now(UTC))
        _log.info("model loaded", extra={"version": entry.version})
        return True

    def _log_refusal(self, entry: files.ModelEntry, reason: str, *, log_refusal: bool) -> None:
        if log_refusal:
            kept = self._loaded.version if self._loaded else None
            _log.error("model refused", extra={"version": entry.version, "kept": kept, "reason": reason})
