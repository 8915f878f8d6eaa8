"""`.env`: written once with random secrets, then read, and checked line by line each time."""

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv.parser import parse_stream

from stack.errors import StackError
from stack.variables import VARIABLES

_HEADER = "# Dataflix settings, made by ./run.sh. Secrets: keep this file to yourself (mode 600).\n"


def write_first(path: Path, environ: Mapping[str, str]) -> None:
    """Write a new `.env` (mode 600); a DATAFLIX_ variable set in `environ` wins over the made value.

    Raises:
        StackError: a value in `environ` is not usable, or the file can't be written.
    """
    values: dict[str, str] = {}
    for variable in VARIABLES:
        value = environ.get(variable.name) or (variable.first_value() if variable.first_value else "")
        if problem := variable.problem(value):
            raise StackError(f"{variable.name} in the environment {problem}; it is {value!r}.")
        values[variable.name] = value
    if home := environ.get("DATAFLIX_HOME"):
        values["DATAFLIX_HOME"] = str(Path(home).absolute())
    comments = {variable.name: variable.comment for variable in VARIABLES}
    comments["DATAFLIX_HOME"] = "Folder of all state and logs"
    lines = [f"# {comments[name]}\n{name}={value}\n" for name, value in values.items()]
    beside = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(_HEADER + "".join(lines))
        beside.replace(path)
    except OSError as error:
        raise StackError(f"{path} can't be written: {error.strerror}. DATAFLIX_ENV_FILE moves it.") from error


def example() -> str:
    """Return the text of `.env.example`."""
    header = (
        "# What ./run.sh writes into .env on its first run. A secret has no default: it is made at random.\n"
    )
    lines = [f"# {variable.comment}\n{variable.name}={variable.example}\n" for variable in VARIABLES]
    return header + "".join(lines)


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
