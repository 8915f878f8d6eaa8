"""What has happened in a state folder: which data were loaded, if a pipeline run succeeded, how it runs."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from stack.settings import Settings


@dataclass
class State:
    """Kept in `state.json`.

    Attributes:
        data: what was loaded, "sample" or a MovieLens path; None before.
        first_run: id of the first Airflow run that succeeded; None before.
        way: how the stack was started, "local" or "docker"; None when it was stopped or never started.
    """

    data: str | None = None
    first_run: str | None = None
    way: str | None = None

    @classmethod
    def read(cls, settings: Settings) -> "State":
        """Return the state of this folder; a new folder has an empty one."""
        path = _path(settings)
        return cls(**json.loads(path.read_text())) if path.exists() else cls()

    def write(self, settings: Settings) -> None:
        """Replace `state.json` in one step."""
        beside = _path(settings).with_suffix(".new")
        beside.write_text(json.dumps(asdict(self), indent=2) + "\n")
        beside.replace(_path(settings))


def _path(settings: Settings) -> Path:
    return settings.home / "state.json"
