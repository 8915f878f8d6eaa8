"""The settings of the stack: the checked values of `.env`, and the state folder DATAFLIX_HOME."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from dataflix_common.env_file import env_file_path as common_env_file_path
from dataflix_stack.config import dotenv_file
from dataflix_stack.config.private_files import make_file_private, make_folder_private
from dataflix_stack.errors import StackError
from dataflix_stack.paths import ROOT
from dataflix_stack.progress import say

# Marks a folder that we made, so that --purge never deletes another one that DATAFLIX_HOME names by mistake.
_MARKER = ".dataflix-home"

# The sample takes 0.6 GB, most of it Airflow's and ClickHouse's logs and Postgres' WAL.
MIN_FREE_BYTES = 1 << 30


@dataclass(frozen=True)
class Settings:
    """The values of `.env`, the path of that file, and the state folder."""

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
    """Return the path of `.env`, whether it exists or not."""
    return common_env_file_path(folder=ROOT)


def load(*, create: bool) -> Settings:
    """Read `.env`.

    Args:
        create: write the file if it is missing, fill in what it lacks unless there is data already, and take
            other accounts' rights from it if it has any.

    Raises:
        StackError: the file is missing (without `create`, or although there is data that needs its secrets)
            or has invalid lines.
    """
    path = env_file_path()
    moved_to = os.environ.get("DATAFLIX_HOME")
    for folder in (ROOT, Path(moved_to or ROOT).absolute()):
        _check_folder_name(folder)
    if not path.exists():
        if not create:
            raise StackError(f"{path} does not exist, so nothing was started yet. ./run.sh writes it.")
        home = _home(moved_to)
        if holds_data(home):
            raise StackError(
                f"{home} holds data, and {path} with the secrets that they need does not exist. Put it back; "
                "a backup that was made --with-secrets has it as the file env."
            )
        dotenv_file.write_first(path, os.environ)
    if create and make_file_private(path):
        say(f"  {path}: other accounts can't read it any more")
    if create and not holds_data(_home(moved_to or dotenv_file.value_of(path, "DATAFLIX_HOME"))):
        filled = dotenv_file.complete(path, os.environ)
        if filled:
            say(f"  {path}: filled in {len(filled)} variables that were empty or missing")
    if added := dotenv_file.add_missing(path, os.environ):
        say(f"  {path}: added {', '.join(added)}")
    if create and (filled := dotenv_file.fill_in(path, os.environ)):
        say(f"  {path}: took {', '.join(filled)} from the environment")
    values = dotenv_file.read(path, os.environ)
    home = _home(moved_to or values.get("DATAFLIX_HOME"))
    _check_folder_name(home)
    values["DATAFLIX_HOME"] = str(home)
    return Settings(values, path, home)


def _home(name: str | None) -> Path:
    return Path(name or ROOT / ".dataflix").absolute()


def _check_folder_name(folder: Path) -> None:
    # supervisord expands percent signs in paths, some of them twice, and cannot escape a quote. To it,
    # ';' and '#' after a blank begin a comment.
    if set('%"\n') & set(str(folder)) or re.search(r"\s[;#]", str(folder)):
        raise StackError(
            f"The folder {str(folder)!r} has a '%', a quote, a line break, or a ';' or '#' after a blank "
            "in its name; rename it."
        )
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise StackError(f"The name of the folder {str(folder)!r} is not UTF-8; rename it.") from None


def prepare_home(home: Path) -> None:
    """Create the state folder and its subfolders, and take all rights of other accounts from them.

    Raises:
        StackError: the folder cannot be written or made private, holds other files, or its disk is
            nearly full.
    """
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not is_dataflix_home(home):
            if any(home.iterdir()):
                raise StackError(
                    f"DATAFLIX_HOME, {home}, holds files that are not Dataflix's. Name an empty folder."
                )
            (home / _MARKER).touch()
        for name in ("logs", "run", "tmp", "s3", "models", "trainer", "airflow"):
            (home / name).mkdir(exist_ok=True, mode=0o700)
        make_folder_private(home)
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
            f"The disk of {home} has {free >> 20} MiB free; Dataflix needs {MIN_FREE_BYTES >> 20}. "
            "Make room, or name another folder with DATAFLIX_HOME."
        )


def is_dataflix_home(home: Path) -> bool:
    """Return whether `prepare_home` made the folder."""
    return (home / _MARKER).exists()


def holds_data(home: Path) -> bool:
    """Return whether a stack was started in the folder: its data need the secrets of then."""
    return any((home / name).exists() for name in ("postgres", "docker"))
