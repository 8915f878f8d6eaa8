"""The folder that hands models from the synchroniser to the workers.

``current.json`` names the served version and the one before it; ``registry-reached`` is touched whenever the
registry answered. A version's folder never changes once it has its name.
"""

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from dataflix_recommender import ArtifactError, History, InvalidHistoryError, Model

CURRENT = "current.json"
REGISTRY_REACHED = "registry-reached"

# Every kind of event that Postgres can hold.
_ALL_EVENTS = [
    (movie_id, rating, liked)
    for movie_id, (rating, liked) in enumerate(
        [(None, None)] + [(step / 2, liked) for step in range(1, 11) for liked in (None, True, False)],
        start=1,
    )
]


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A version and its folder, relative to the models' folder."""

    version: str
    path: str


@dataclass(frozen=True, slots=True)
class Current:
    """What is to be served, and what was served before."""

    version: str
    path: str
    loaded_at: str
    previous: ModelEntry | None = None

    @property
    def entry(self) -> ModelEntry:
        """The served version."""
        return ModelEntry(self.version, self.path)


def load_model(folder: Path) -> Model:
    """Open an artifact and try it; raises ArtifactError naming file and reason.

    Beyond what the artifact promises of itself, it must weigh every event that a user can have.
    """
    model = Model.load(folder)
    try:
        History.from_events(_ALL_EVENTS, model.weights)
    except InvalidHistoryError as error:
        raise ArtifactError(folder, f"does not weigh every event: {error}") from error
    return model


def read_current(models_dir: Path) -> Current | None:
    """Return what ``current.json`` says, None when there is none; raises ValueError when it is broken."""
    file = models_dir / CURRENT
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        previous = values.pop("previous", None)
        return Current(**values, previous=ModelEntry(**previous) if previous else None)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{file} cannot be read: {error!r}") from error


def write_current(models_dir: Path, entry: ModelEntry, previous: ModelEntry | None) -> None:
    """Name ``entry`` as the served version; readers see the old file or the new one, never a part."""
    current = Current(entry.version, entry.path, datetime.now(UTC).isoformat(), previous)
    with tempfile.NamedTemporaryFile("w", dir=models_dir, prefix=".current-", delete=False) as stream:
        try:
            json.dump(asdict(current), stream)
            stream.flush()
            os.fsync(stream.fileno())
            Path(stream.name).chmod(0o644)
            Path(stream.name).replace(models_dir / CURRENT)
        except BaseException:
            Path(stream.name).unlink(missing_ok=True)
            raise


def registry_reached_at(models_dir: Path) -> datetime | None:
    """Return when the registry last answered the synchroniser, None if it never did."""
    try:
        return datetime.fromtimestamp((models_dir / REGISTRY_REACHED).stat().st_mtime, UTC)
    except FileNotFoundError:
        return None
