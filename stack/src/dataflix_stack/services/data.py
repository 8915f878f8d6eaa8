"""Which data a state folder holds: the sample, MovieLens, another application's, or none."""

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from dataflix_loader.errors import LoadError
from dataflix_loader.movielens.dataset import open_dataset
from dataflix_stack.config import dotenv_file
from dataflix_stack.config.private_files import UMASK
from dataflix_stack.config.settings import Settings
from dataflix_stack.config.state import State
from dataflix_stack.errors import StackError
from dataflix_stack.paths import ROOT
from dataflix_stack.progress import say, step
from dataflix_stack.services import source
from dataflix_stack.services.registry import base_environ, has_source

SAMPLE = "sample"
NONE = "none"
SOURCE = "source"


@dataclass(frozen=True)
class Chosen:
    """What the person who starts the stack asks for; without anything, it is what .env says or the sample.

    Attributes:
        movielens: a MovieLens folder or zip.
        description: of another application's database.
        nothing: start empty.
    """

    movielens: Path | None = None
    description: Path | None = None
    nothing: bool = False


def check(chosen: Chosen) -> None:
    """Check the files that were named, before anything is written.

    Raises:
        StackError: a file does not exist or is not what it should be.
    """
    if chosen.description is not None and not chosen.description.is_file():
        raise StackError(
            f"--source: there is no file {chosen.description}. `./run.sh source inspect --output FILE` "
            "looks at your database and proposes one."
        )
    if chosen.movielens is None:
        return
    try:
        with open_dataset(chosen.movielens):
            pass
    except LoadError as error:
        raise StackError(f"--data: {error}") from error


def settle(settings: Settings, chosen: Chosen, state: State) -> Settings:
    """Check that the state folder can hold what was asked for, and remember a source in `.env`.

    Returns:
        The settings, with the source.

    Raises:
        StackError: it holds other data, or the source can't be copied; nothing was changed.
    """
    if has_source(settings) and (chosen.movielens or chosen.nothing):
        raise StackError(
            f"DATAFLIX_SOURCE_FILE in {settings.env_file} names another application's database, and --data "
            "asks for other data. Empty the variable, or leave --data out."
        )
    named = settings
    if chosen.description is not None:
        named = replace(settings, values=settings.values | {"DATAFLIX_SOURCE_FILE": str(chosen.description)})
    wanted = _wanted(named, chosen)
    # A folder that was started empty may get any data.
    if wanted is not None and state.data not in (None, NONE, wanted):
        raise StackError(
            f"This state folder already holds other data ({state.data}); without --data and --source, "
            "./run.sh goes on with it. For these data as well, name another folder with DATAFLIX_HOME, and "
            "another .env with DATAFLIX_ENV_FILE."
        )
    # A source that is away now does not keep back what was copied from it.
    if wanted == SOURCE and (chosen.description is not None or state.data != SOURCE):
        source.refuse_unready(named)
    if named["SOURCE_FILE"] != settings["SOURCE_FILE"]:
        dotenv_file.set_value(settings.env_file, "DATAFLIX_SOURCE_FILE", named["SOURCE_FILE"])
        say(f"  {settings.env_file}: DATAFLIX_SOURCE_FILE is {named['SOURCE_FILE']}")
    return named


def load(settings: Settings, chosen: Chosen) -> None:
    """Load data once for each state folder.

    Args:
        settings: as `settle` returned them.
        chosen: as it was given to `settle`.

    Raises:
        StackError: the loader refused the files, or the copy failed; nothing was changed.
    """
    state = State.read(settings)
    wanted = _wanted(settings, chosen)
    if state.data is not None and wanted in (None, state.data):
        return
    wanted = wanted or SAMPLE
    if wanted == SOURCE:
        source.copy(settings)
    elif wanted != NONE:
        _run_loader(settings, chosen.movielens)
    state.data = wanted
    state.write(settings)


def _wanted(settings: Settings, chosen: Chosen) -> str | None:
    """Return what was asked for, as the state calls it; None if nothing was."""
    if chosen.nothing:
        return NONE
    if has_source(settings):
        return SOURCE
    return str(chosen.movielens) if chosen.movielens is not None else None


def _run_loader(settings: Settings, path: Path | None) -> None:
    script = "load_sample_data.py" if path is None else "import_movielens.py"
    command = [sys.executable, str(ROOT / "scripts" / script), *([] if path is None else [str(path)])]
    with step("data: " + ("the sample" if path is None else path.name)):
        result = subprocess.run(
            command,
            env=base_environ(settings, "POSTGRES_"),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            umask=UMASK,
        )
    if result.returncode != 0:
        raise StackError(f"The data was not loaded and nothing was changed:\n{result.stderr.strip()[-2000:]}")
    say("  " + (result.stdout.strip().splitlines() or ["data loaded"])[-1])
