"""The file `.env`: written once with random secrets, then checked line by line on every read."""

import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

# dataflix_common reads a `.env`; here every line is checked, which takes the parser below it.
from dotenv import set_key
from dotenv.parser import Binding, parse_stream

from dataflix_common.files import replace_file
from dataflix_common.locks import exclusive_lock
from dataflix_stack.config.variables import ADDED_LATER, VARIABLES, Variable
from dataflix_stack.errors import StackError

_PLAIN = re.compile(r"[A-Za-z0-9_.,:/@+=-]*")

_HEADER = "# Dataflix settings, made by ./run.sh. Secrets: keep this file to yourself (mode 600).\n"


def write_first(path: Path, environ: Mapping[str, str]) -> None:
    """Write a new `.env` with mode 600.

    Args:
        path: the file.
        environ: a DATAFLIX_ variable set here replaces the initial value.

    Raises:
        StackError: a value in `environ` is invalid, or the file cannot be written.
    """
    text = _lines(VARIABLES, environ)
    if home := environ.get("DATAFLIX_HOME"):
        text += f"# Folder of all state and logs\nDATAFLIX_HOME={Path(home).absolute()}\n"
    try:
        replace_file(path, _HEADER + text)
    except OSError as error:
        raise StackError(f"{path} can't be written: {error.strerror}. DATAFLIX_ENV_FILE moves it.") from error


def add_missing(path: Path, environ: Mapping[str, str]) -> list[str]:
    """Add the variables that an older `.env` lacks, with initial values, and return their names.

    Args:
        path: the file.
        environ: a DATAFLIX_ variable set here replaces the initial value.

    Raises:
        StackError: a value in `environ` is invalid, or the file cannot be written.
    """
    if not _missing(path):
        return []
    try:
        with exclusive_lock(path.with_name(path.name + ".lock"), wait=True):
            # Another process may have added them while this one waited for the lock.
            missing = _missing(path)
            lines = _lines(missing, environ)
            separator = "" if _text(path).endswith("\n") else "\n"
            with path.open("a", encoding="utf-8") as file:
                file.write(separator + lines)
    except OSError as error:
        names = ", ".join(sorted(ADDED_LATER))
        raise StackError(f"{path} can't be written ({error.strerror}) and needs some of: {names}.") from error
    return [variable.name for variable in missing]


def set_value(path: Path, name: str, value: str) -> None:
    """Replace the value of one variable, in one step.

    Raises:
        StackError: the file cannot be written.
    """
    try:
        with exclusive_lock(path.with_name(path.name + ".lock"), wait=True):
            set_key(path, name, value, quote_mode="never" if _PLAIN.fullmatch(value) else "always")
    except OSError as error:
        raise StackError(f"{path} can't be written ({error.strerror}): set {name}={value} in it.") from error


def fill_in(path: Path, environ: Mapping[str, str]) -> list[str]:
    """Write values of the environment for optional variables that are empty in the file; return their names.

    Raises:
        StackError: a value in `environ` is invalid, or the file cannot be written.
    """
    written = {binding.key: binding.value for binding in _bindings(path)}
    filled = []
    for variable in VARIABLES:
        value = environ.get(variable.name)
        if variable.is_optional and value and written.get(variable.name) == "":
            if problem := variable.problem(value):
                raise StackError(
                    f"{variable.name} in the environment {problem}; it is {_shown(variable, value)}."
                )
            set_value(path, variable.name, value)
            filled.append(variable.name)
    return filled


def example() -> str:
    """Return the text of `.env.example`."""
    header = "# What ./run.sh writes into .env on its first run. Secrets have no default: they are random.\n"
    lines = [f"# {variable.comment}\n{variable.name}={variable.example}\n" for variable in VARIABLES]
    return header + "".join(lines)


def read(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the checked values of `.env`.

    Args:
        path: the file.
        environ: DATAFLIX_ variables in it must not contradict the file.

    Raises:
        StackError: the file can't be read, is not UTF-8, or a line is not NAME=value; a value
            is missing or invalid, two services have the same port,
            or a variable has another value in `environ`.
    """
    values: dict[str, str] = {}
    for binding in _bindings(path):
        if binding.error:
            raise StackError(
                f"{path}, line {binding.original.line}: not a setting NAME=value{_name_in(binding)}."
            )
        if binding.key:
            values[binding.key] = binding.value or ""
    for variable in VARIABLES:
        if variable.name not in values:
            raise StackError(f"{path}: {variable.name} is missing ({variable.comment}); see .env.example.")
        if problem := variable.problem(values[variable.name]):
            shown = _shown(variable, values[variable.name])
            raise StackError(f"{path}: {variable.name} {problem}; it is {shown}.")
        exported = environ.get(variable.name)
        if exported is not None and exported != values[variable.name]:
            raise StackError(
                f"{variable.name} has one value in the environment and another one in {path}. "
                f"The file decides: change it there, or unset the variable."
            )
    _check_ports_differ(path, values)
    return values


def _lines(variables: Iterable[Variable], environ: Mapping[str, str]) -> str:
    lines = []
    for variable in variables:
        value = environ.get(variable.name) or (variable.initial_value() if variable.initial_value else "")
        if problem := variable.problem(value):
            raise StackError(
                f"{variable.name} in the environment {problem}; it is {_shown(variable, value)}."
            )
        lines.append(f"# {variable.comment}\n{variable.name}={_written(value)}\n")
    return "".join(lines)


def _written(value: str) -> str:
    """Return a value as the file has it: in quotes if it has signs that the file gives a meaning to."""
    if _PLAIN.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _shown(variable: Variable, value: str) -> str:
    # A secret has no example. A refused one may still be somebody's password elsewhere.
    return "a secret, which is not shown" if variable.is_secret else repr(value)


def _bindings(path: Path) -> list[Binding]:
    return list(parse_stream(io.StringIO(_text(path))))


def _text(path: Path) -> str:
    try:
        # Some editors begin a UTF-8 file with a byte order mark.
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise StackError(f"{path} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise StackError(f"{path}, line {line}: not UTF-8. Save the file as UTF-8.") from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise StackError(f"{path}, line {line}: there is a zero byte. Save the file as UTF-8 text.")
    return text


def _name_in(binding: Binding) -> str:
    # The rest of the line may be a secret.
    name = re.match(r"\s*(DATAFLIX_[A-Z0-9_]+)", binding.original.string)
    return f" ({name[1]})" if name else ""


def _missing(path: Path) -> list[Variable]:
    present = {binding.key for binding in _bindings(path)}
    return [variable for variable in VARIABLES if variable.name in ADDED_LATER - present]


def _check_ports_differ(path: Path, values: Mapping[str, str]) -> None:
    owners: dict[str, str] = {}
    for variable in VARIABLES:
        if variable.is_port:
            other = owners.setdefault(values[variable.name], variable.name)
            if other != variable.name:
                raise StackError(f"{path}: {other} and {variable.name} are both {values[variable.name]}.")


if __name__ == "__main__":
    print(example(), end="")
