"""`.env`: written once with random secrets, then read, and checked line by line each time."""

import fcntl
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from dotenv.parser import parse_stream

from dataflix_stack.config.variables import ADDED_LATER, VARIABLES, Variable
from dataflix_stack.errors import StackError

_HEADER = "# Dataflix settings, made by ./run.sh. Secrets: keep this file to yourself (mode 600).\n"


def write_first(path: Path, environ: Mapping[str, str]) -> None:
    """Write a new `.env` (mode 600); a DATAFLIX_ variable set in `environ` wins over the made value.

    Raises:
        StackError: a value in `environ` is not usable, or the file can't be written.
    """
    text = _lines(VARIABLES, environ)
    if home := environ.get("DATAFLIX_HOME"):
        text += f"# Folder of all state and logs\nDATAFLIX_HOME={Path(home).absolute()}\n"
    beside = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(_HEADER + text)
        beside.replace(path)
    except OSError as error:
        raise StackError(f"{path} can't be written: {error.strerror}. DATAFLIX_ENV_FILE moves it.") from error


def add_missing(path: Path, environ: Mapping[str, str]) -> list[str]:
    """Add to an older `.env` the variables that came later, with made values; return their names.

    Raises:
        StackError: a value in `environ` is not usable, or the file can't be written.
    """
    if not _lacking(path):
        return []
    try:
        with path.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Another process may have added them while this one waited.
            lacking = _lacking(path)
            lines = _lines(lacking, environ)
            text = file.read()
            file.write(("" if text.endswith("\n") else "\n") + lines)
    except OSError as error:
        names = ", ".join(sorted(ADDED_LATER))
        raise StackError(f"{path} can't be written ({error.strerror}) and needs some of: {names}.") from error
    return [variable.name for variable in lacking]


def example() -> str:
    """Return the text of `.env.example`."""
    header = (
        "# What ./run.sh writes into .env on its first run. A secret has no default: it is made at random.\n"
    )
    lines = [f"# {variable.comment}\n{variable.name}={variable.example}\n" for variable in VARIABLES]
    return header + "".join(lines)


def _lines(variables: Iterable[Variable], environ: Mapping[str, str]) -> str:
    lines = []
    for variable in variables:
        value = environ.get(variable.name) or (variable.first_value() if variable.first_value else "")
        if problem := variable.problem(value):
            raise StackError(f"{variable.name} in the environment {problem}; it is {value!r}.")
        lines.append(f"# {variable.comment}\n{variable.name}={value}\n")
    return "".join(lines)


def _lacking(path: Path) -> list[Variable]:
    with path.open() as file:
        present = {binding.key for binding in parse_stream(file)}
    return [variable for variable in VARIABLES if variable.name in ADDED_LATER - present]


def read(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the checked values of `.env`.

    Raises:
        StackError: a line that is no setting, a value missing or not usable, two services on one port, or a
            variable whose value in `environ` differs from the file's.
    """
    values: dict[str, str] = {}
    with path.open() as file:
        for binding in parse_stream(file):
            if binding.error:
                text = binding.original.string.strip()
                raise StackError(f"{path}, line {binding.original.line}: not a setting NAME=value: {text!r}")
            if binding.key:
                values[binding.key] = binding.value or ""
    for variable in VARIABLES:
        if variable.name not in values:
            raise StackError(f"{path}: {variable.name} is missing ({variable.comment}); see .env.example.")
        if problem := variable.problem(values[variable.name]):
            shown = values[variable.name] if variable.example else "(a secret)"
            raise StackError(f"{path}: {variable.name} {problem}; it is {shown!r}.")
        elsewhere = environ.get(variable.name)
        if elsewhere is not None and elsewhere != values[variable.name]:
            raise StackError(
                f"{variable.name} is set in the environment to something else than in {path}. "
                f"The file decides: change it there, or unset the variable."
            )
    _refuse_shared_ports(path, values)
    return values


def _refuse_shared_ports(path: Path, values: Mapping[str, str]) -> None:
    owners: dict[str, str] = {}
    for variable in VARIABLES:
        if variable.is_port:
            other = owners.setdefault(values[variable.name], variable.name)
            if other != variable.name:
                raise StackError(f"{path}: {other} and {variable.name} are both {values[variable.name]}.")


if __name__ == "__main__":
    print(example(), end="")
