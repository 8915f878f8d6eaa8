"""The state of a state folder: the data that was loaded, the first pipeline run, and how the stack runs."""

import json
from dataclasses import dataclass
from pathlib import Path

from dataflix_common.files import replace_file
from dataflix_stack.config.settings import Settings
from dataflix_stack.errors import StackError

# The key of `runtime` in the file, as older versions read and write it.
_RUNTIME_KEY = "way"


@dataclass
class State:
    """The content of `state.json`.

    Attributes:
        data: the loaded data, "sample", a MovieLens path, "source" or "none"; None until data is loaded.
        first_run: id of the first Airflow run that succeeded; None until then.
        runtime: "local" or "docker" while the stack is started, else None.
    """

    data: str | None = None
    first_run: str | None = None
    runtime: str | None = None

    @classmethod
    def read(cls, settings: Settings) -> "State":
        """Return the state of a folder; that of a new folder is empty.

        Raises:
            StackError: the file is not ours, or damaged.
        """
        path = state_file(settings)
        return cls.read_file(path) if path.exists() else cls()

    @classmethod
    def read_file(cls, path: Path) -> "State":
        """Return the state in a file, such as that of a backup.

        Raises:
            StackError: the file is not ours, or damaged.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise _damaged(path) from error
        if not isinstance(values, dict):
            raise _damaged(path)
        return cls(values.get("data"), values.get("first_run"), values.get(_RUNTIME_KEY))

    def write(self, settings: Settings) -> None:
        """Replace `state.json` in one step."""
        values = {"data": self.data, "first_run": self.first_run, _RUNTIME_KEY: self.runtime}
        replace_file(state_file(settings), json.dumps(values, indent=2) + "\n")


def _damaged(path: Path) -> StackError:
    example = json.dumps({"data": "sample", "first_run": "by hand", _RUNTIME_KEY: "local"})
    return StackError(
        f"{path} is damaged. Write into it which data was loaded (sample, source, none, or the path "
        f"of the MovieLens data), for instance: {example}"
    )


def state_file(settings: Settings) -> Path:
    """Return the path of the state of a state folder, whether it exists or not."""
    return settings.home / "state.json"
