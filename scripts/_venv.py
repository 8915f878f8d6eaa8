"""Runs the commands of this folder in the project's own environment, whichever `python3` starts them.

A command holds no code of its own: it names the module whose `main()` it runs.
This file itself must run with any Python from 3.6 on.
"""

import importlib
import os
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]


def run(module: str, *, venv: str = ".venv", environment: str = "core") -> NoReturn:
    """Run a module's `main()`; start the command again in `venv` first if another Python runs it.

    Args:
        module: name of the module, such as `dataflix_tools.lineage.command`.
        venv: folder of the environment, below the project's root.
        environment: what `scripts/environments.sh` calls it, for the message when it is missing.
    """
    folder = ROOT / venv
    python = folder / "bin" / "python"
    name = Path(sys.argv[0]).name
    missing = f"{name} needs the environment {folder}: run scripts/environments.sh {environment}"
    if Path(sys.prefix).resolve() != folder.resolve():
        if not python.exists():
            sys.exit(missing)
        os.execv(str(python), [str(python), *sys.argv])  # noqa: S606  the point is to become that program

    try:
        end = importlib.import_module("dataflix_common.command_end")
    except ModuleNotFoundError as error:
        sys.exit(f"{missing}. It lacks {error.name}.")

    def main() -> object:
        try:
            command = importlib.import_module(module)
        except ModuleNotFoundError as error:
            # The environment is incomplete, or from before the last change of its lock.
            return f"{missing}. It lacks {error.name}."
        return command.main()

    sys.exit(end.run_to_end(main, name))
