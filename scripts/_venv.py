"""Runs the commands of this folder in the project's own environment, whichever `python3` starts them.

A command holds no code of its own: it names the module whose `main()` it runs.
This file itself must run with any Python from 3.6 on.
"""

import importlib
import os
import sys
import traceback
from pathlib import Path
from typing import NoReturn

_INTERRUPTED = 130

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
        command = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module.partition(".")[0]:
            sys.exit(missing)
        raise
    sys.exit(guard(command.main, name))


def guard(main, name):
    """Run `main`; return the exit code. Whatever goes wrong ends in one sentence on stderr.

    Args:
        main: takes nothing; returns an exit code or None, or raises SystemExit.
        name: name of the command, for the sentence.
    """
    sentence = None
    try:
        code = main()
    except SystemExit as left:
        code = left.code
        if isinstance(code, str):
            code, sentence = 1, code
    except BrokenPipeError:
        # The reader has closed the pipe: it has what it wanted.
        code = 0
    except KeyboardInterrupt:
        code, sentence = _INTERRUPTED, name + ": interrupted."
    except Exception as error:  # noqa: BLE001  reported, with its place in the code
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{Path(frames[-1][0]).name}:{frames[-1][1]}"
        text = " ".join(str(error).split())
        code, sentence = 1, f"{name} can't go on: {type(error).__name__}: {text} ({place})."
    code, sentence = _flush_output(name, code or 0, sentence)
    if sentence is not None and sys.stderr is not None:
        try:
            print(sentence, file=sys.stderr, flush=True)
        except OSError:
            _discard(sys.stderr)
    return code


def _flush_output(name, code, sentence):
    """Write what is buffered, so that a full disk is reported here and not by Python at exit."""
    if sys.stdout is None:
        return code, sentence
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard(sys.stdout)
    except OSError as error:
        _discard(sys.stdout)
        unwritten = f"{name}: the output can't be written: {error.strerror}."
        return code or 1, sentence or unwritten
    return code, sentence


def _discard(stream):
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
