"""What has happened in a state folder: which data were loaded, if a pipeline run succeeded, how it runs."""

import json
from dataclasses import dataclass
from pathlib import Path

from dataflix_stack.config.settings import Settings

# The key of `runtime` in the file, as older versions read and write it.
_RUNTIME_KEY = "way"


@dataclass
class State:
    """Kept in `state.json`.

    Attributes:
        data: what was loaded, "sample" or a MovieLens path; None before.
        first_run: id of the first Airflow run that succeeded; None before.
        runtime: how the stack was started, "local" or "docker"; None when it was stopped or never started.
    """

    data: str | None = None
    first_run: str | None = None
    runtime: str | None = None

    @classmethod
    def read(cls, settings: Settings) -> "State":
        """Return the state of this folder; a new folder has an empty one."""
        path = _path(settings)
        if not path.exists():
            return cls()
        values = json.loads(path.read_text())
        return cls(values.get("data"), values.get("first_run"), values.get(_RUNTIME_KEY))

    def write(self, settings: Settings) -> None:
        """Replace `state.json` in one step."""
        values = {"data": self.data, "first_run": self.first_run, _RUNTIME_KEY: self.runtime}
        beside = _path(settings).with_suffix(".new")
        beside.write_text(json.dumps(values, indent=2) + "\n")
        beside.replace(_path(settings))


def _path(settings: Settings) -> Path:
    return settings.home / "state.json"
