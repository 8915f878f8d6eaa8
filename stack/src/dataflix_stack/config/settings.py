"""What the local stack knows at start: the checked `.env` and the folders below DATAFLIX_HOME."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from dataflix_stack.config import dotenv_file
from dataflix_stack.errors import StackError
from dataflix_stack.paths import ROOT
from dataflix_stack.progress import say

# Marks a folder as ours, so that a purge can never delete a folder that merely had its name in DATAFLIX_HOME.
_MARKER = ".dataflix-home"

# The sample leaves 0.6 GB of state behind, most of it Airflow's and ClickHouse's logs and Postgres' WAL.
MIN_FREE_BYTES = 1 << 30


@dataclass(frozen=True)
class Settings:
    """The values of `.env` and where state lies."""

    values: dict[str, str]
    env_file: Path
    home: Path

    def __getitem__(self, name: str) -> str:
        return self.values["DATAFLIX_" + name]

    def port(self, service: str) -> int:
        """Return a service's port, e.g. `port("BACKEND")`."""
        return int(self[service + "_PORT"])

    def url(self, service: str) -> str:
        """Return a service's address, e.g. `url("BACKEND")`."""
        return f"http://{self[service + '_HOST']}:{self.port(service)}"

    @property
    def logs(self) -> Path:
        """Folder of the services' logs."""
        return self.home / "logs"


def env_file_path() -> Path:
    """Return where `.env` is or will be."""
    return Path(os.environ.get("DATAFLIX_ENV_FILE") or ROOT / ".env").absolute()


def load(*, create: bool) -> Settings:
    """Read `.env`; with `create`, write it first if it is missing.

    Raises:
        StackError: the file is missing (without `create`) or broken.
    """
    path = env_file_path()
    moved_to = os.environ.get("DATAFLIX_HOME")
    for folder in (ROOT, Path(moved_to or ROOT).absolute()):
        _refuse_unusable_name(folder)
    if not path.exists():
        if not create:
            raise StackError(f"{path} does not exist: nothing was started yet. ./run.sh writes it.")
        dotenv_file.write_first(path, os.environ)
    if added := dotenv_file.add_missing(path, os.environ):
        say(f"  {path}: added {', '.join(added)}")
    values = dotenv_file.read(path, os.environ)
    home = Path(moved_to or values.get("DATAFLIX_HOME") or ROOT / ".dataflix").absolute()
    _refuse_unusable_name(home)
    values["DATAFLIX_HOME"] = str(home)
    return Settings(values, path, home)


def _refuse_unusable_name(folder: Path) -> None:
    # supervisord expands percent signs in paths, some of them twice, and has no way to escape a quote.
    if set('%"\n') & set(str(folder)):
        raise StackError(
            f"The folder {str(folder)!r} has a '%', a quote or a line break in its name; rename it."
        )


def prepare_home(home: Path) -> None:
    """Make the state folder and those below it.

    Raises:
        StackError: it can't be written, belongs to something else, or its disk is nearly full.
    """
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not is_ours(home):
            if any(home.iterdir()):
                raise StackError(
                    f"DATAFLIX_HOME, {home}, holds files that are not Dataflix's. Name an empty folder."
                )
            (home / _MARKER).touch()
        for name in ("logs", "run", "tmp", "s3", "models", "trainer", "airflow"):
            (home / name).mkdir(exist_ok=True)
        probe = home / "tmp" / "write-probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StackError(
            f"The state folder {home} can't be written: {error.strerror}. DATAFLIX_HOME names another one."
        ) from error
    free = shutil.disk_usage(home).free
    if free < MIN_FREE_BYTES:
        raise StackError(
            f"The disk of {home} has {free >> 20} MiB free; Dataflix wants {MIN_FREE_BYTES >> 20}. "
            "Make room, or name another folder with DATAFLIX_HOME."
        )


def is_ours(home: Path) -> bool:
    """Say whether the folder was made by `prepare_home`."""
    return (home / _MARKER).exists()
