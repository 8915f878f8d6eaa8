"""The state of a state folder: the data that was loaded, the first pipeline run, and how the stack runs."""

import json
from dataclasses import dataclass
from pathlib import Path

from dataflix_common.files import replace_file
from dataflix_stack.config.settings import Settings

# The key of `runtime` in the file, as older versions read and write it.
_RUNTIME_KEY = "way"


@dataclass
class State:
    """The content of `state.json`.

    Attributes:
        data: the loaded data, "sample" or a MovieLens path; None until data is loaded.
        first_run: id of the first Airflow run that succeeded; None until then.
        runtime: "local" or "docker" while the stack is started, else None.
    """

    data: str | None = None
    first_run: str | None = None
    runtime: str | None = None

    @classmethod
    def read(cls, settings: Settings) -> "State":
        """Return the state of a folder; that of a new folder is empty."""
        path = _path(settings)
        if not path.exists():
            return cls()
        values = json.loads(path.read_text())
        return cls(values.get("data"), values.get("first_run"), values.get(_RUNTIME_KEY))

    def write(self, settings: Settings) -> None:
        """Replace `state.json` in one step."""
        values = {"data": self.data, "first_run": self.first_run, _RUNTIME_KEY: self.runtime}
        replace_file(_path(settings), json.dumps(values, indent=2) + "\n")


def _path(settings: Settings) -> Path:
    return settings.home / "state.json"
