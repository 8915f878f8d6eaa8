"""The folder in which the synchroniser hands models to the workers.

``current.json`` names the served version and the one before it. ``champion.json`` names the registry's
champion and says why it is not served, if it is not. ``registry-reached`` is touched whenever the registry
answers. The folder of a version does not change once it has its final name, unless somebody damages it: then
the synchroniser puts a new download in its place and writes ``current.json`` again.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from dataflix_common.files import replace_file
from dataflix_recommender import ArtifactError, History, InvalidHistoryError, Model

CURRENT = "current.json"
CHAMPION = "champion.json"
REGISTRY_REACHED = "registry-reached"
# As the process's umask says.
_CURRENT_MODE = None

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
    """The content of ``current.json``: the version to serve, and the one that was served before."""

    version: str
    path: str
    loaded_at: str
    previous: ModelEntry | None = None

    @property
    def entry(self) -> ModelEntry:
        """The version to serve."""
        return ModelEntry(self.version, self.path)


@dataclass(frozen=True, slots=True)
class Hold:
    """The champion is held: the promotion rule replaces it by no other version.

    Attributes:
        since: ISO 8601; None where the registry's tag is no time.
        reason: why; None if nobody said it.
    """

    since: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ChampionStatus:
    """The content of ``champion.json``.

    Attributes:
        version: the champion that the synchroniser saw last; None when there was none.
        problem: why it is not installed; empty when it is, or when there is none.
        hold: whether it is held; None when it is not.
    """

    version: str | None
    problem: str = ""
    hold: Hold | None = None


def load_model(folder: Path) -> Model:
    """Load and check an artifact.

    Raises:
        ArtifactError: the artifact is damaged, or it has no weight for some kind of event.
    """
    model = Model.load(folder)
    try:
        History.from_events(_ALL_EVENTS, model.weights)
    except InvalidHistoryError as error:
        raise ArtifactError(folder, f"has no weight for some kind of event: {error}") from error
    return model


def read_current(models_dir: Path) -> Current | None:
    """Return the content of ``current.json``, None when there is no such file.

    Raises:
        ValueError: the file is damaged.
    """
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
    """Make ``entry`` the served version; readers see the old file or the new one.

    Raises:
        OSError: the file cannot be written.
    """
    current = Current(entry.version, entry.path, datetime.now(UTC).isoformat(), previous)
    replace_file(models_dir / CURRENT, json.dumps(asdict(current)), mode=_CURRENT_MODE)


def champion_problem(models_dir: Path) -> str | None:
    """Return why the registry's champion is not served; None when it is, or when there is none."""
    try:
        return _read_champion(models_dir).problem or None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        return f"{CHAMPION} cannot be read: {type(error).__name__}"


def hold_of(models_dir: Path, version: str) -> Hold | None:
    """Return how a version is held, as the registry said last; None when it is not, or that is not known."""
    try:
        status = _read_champion(models_dir)
    except (OSError, ValueError, TypeError, AttributeError):
        # ``champion_problem`` says so.
        return None
    return status.hold if status.version == version else None


def _read_champion(models_dir: Path) -> ChampionStatus:
    values = json.loads((models_dir / CHAMPION).read_text(encoding="utf-8"))
    hold = values.pop("hold", None)
    return ChampionStatus(**values, hold=Hold(**hold) if hold else None)


def write_champion(models_dir: Path, status: ChampionStatus) -> None:
    """Tell the workers about the champion; readers see the old file or the new one.

    Raises:
        OSError: the file cannot be written.
    """
    replace_file(models_dir / CHAMPION, json.dumps(asdict(status)), mode=_CURRENT_MODE)


def registry_reached_at(models_dir: Path) -> datetime | None:
    """Return when the registry last answered the synchroniser, None if it never did."""
    try:
        return datetime.fromtimestamp((models_dir / REGISTRY_REACHED).stat().st_mtime, UTC)
    except FileNotFoundError:
        return None
