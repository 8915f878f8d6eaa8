"""The file `.env`: written once with random secrets, then checked line by line on every read.

Before the first start it may also be a copy of `.env.example`, or some lines of it: what is empty or missing
is filled in.
"""

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

# dataflix_common reads a `.env`; here every line is checked, which takes the parser below it.
from dotenv import set_key
from dotenv.parser import Binding, parse_stream

from dataflix_common.files import replace_file
from dataflix_common.locks import exclusive_lock
from dataflix_stack.config.variables import ADDED_LATER, VARIABLES, Variable
from dataflix_stack.errors import StackError, raise_all

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


def complete(path: Path, environ: Mapping[str, str]) -> list[str]:
    """Fill in what a `.env` lacks before anything was started with it, and return what was filled in.

    An empty value is filled where it stands, such as a secret of a copy of `.env.example`; a missing variable
    is added at the end. Never call this when there is data: a lost secret would be replaced by another one.

    Args:
        path: the file.
        environ: a DATAFLIX_ variable set here replaces the initial value.

    Raises:
        StackError: the file or a value in `environ` is invalid, or the file cannot be written.
    """
    if not any(_lacking(_checked_bindings(path))):
        return []
    try:
        with exclusive_lock(path.with_name(path.name + ".lock"), wait=True):
            # Another process may have filled it in while this one waited for the lock.
            bindings = _checked_bindings(path)
            missing, empty = _lacking(bindings)
            initial = _initial_values([*missing, *empty.values()], environ)
            lines = [
                _filled(binding.original.string, empty[position].name, initial)
                if position in empty
                else binding.original.string
                for position, binding in enumerate(bindings)
            ]
            text = "".join(lines)
            separator = "" if not text or text.endswith("\n") else "\n"
            replace_file(path, text + separator + _as_lines(missing, initial))
    except OSError as error:
        raise StackError(f"{path} can't be written: {error.strerror}. DATAFLIX_ENV_FILE moves it.") from error
    return list(initial)


def value_of(path: Path, name: str) -> str | None:
    """Return the value of a variable in a `.env` whose other lines may be wrong; None without a value.

    Raises:
        StackError: the file can't be read or is not UTF-8.
    """
    return {binding.key: binding.value for binding in _bindings(path)}.get(name) or None


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
            # It puts quotes around a value, but escapes no backslash.
            set_key(path, name, _written(value), quote_mode="never")
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
    header = (
        "# What ./run.sh writes into .env on its first run. To choose ports before it, copy this file to\n"
        "# .env and change them there. What is empty is filled in: secrets have no default, but are random.\n"
    )
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
    values = {binding.key: binding.value or "" for binding in _checked_bindings(path) if binding.key}
    problems = []
    for variable in VARIABLES:
        exported = environ.get(variable.name)
        if variable.name not in values:
            problems.append(f"{path}: {variable.name} is missing ({variable.comment}); see .env.example.")
        elif problem := variable.problem(values[variable.name]):
            shown = _shown(variable, values[variable.name])
            problems.append(f"{path}: {variable.name} {problem}; it is {shown}.")
        elif exported is not None and exported != values[variable.name]:
            problems.append(
                f"{variable.name} has one value in the environment and another one in {path}. "
                f"The file decides: change it there, or unset the variable."
            )
    raise_all([*problems, *_ports_used_twice(path, values)])
    return values


def _lines(variables: Sequence[Variable], environ: Mapping[str, str]) -> str:
    return _as_lines(variables, _initial_values(variables, environ))


def _as_lines(variables: Iterable[Variable], values: Mapping[str, str]) -> str:
    return "".join(
        f"# {variable.comment}\n{variable.name}={_written(values[variable.name])}\n" for variable in variables
    )


def _filled(line: str, name: str, values: Mapping[str, str]) -> str:
    # What the parser gives for a line may begin with empty ones.
    before = line[: len(line) - len(line.lstrip())]
    return f"{before}{name}={_written(values[name])}\n"


def _initial_values(variables: Iterable[Variable], environ: Mapping[str, str]) -> dict[str, str]:
    values, problems = {}, []
    for variable in variables:
        value = environ.get(variable.name) or (variable.initial_value() if variable.initial_value else "")
        if problem := variable.problem(value):
            problems.append(f"{variable.name} in the environment {problem}; it is {_shown(variable, value)}.")
        values[variable.name] = value
    raise_all(problems)
    return values


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


def _lacking(bindings: Sequence[Binding]) -> tuple[list[Variable], dict[int, Variable]]:
    """Return the variables without a line, and those without a value by the position of their last line."""
    positions = {binding.key: position for position, binding in enumerate(bindings) if binding.key}
    missing = [variable for variable in VARIABLES if variable.name not in positions]
    empty = {
        positions[variable.name]: variable
        for variable in VARIABLES
        if variable.name in positions
        and not bindings[positions[variable.name]].value
        and not variable.is_optional
    }
    return missing, empty


def _checked_bindings(path: Path) -> list[Binding]:
    bindings = _bindings(path)
    raise_all(
        [
            f"{path}, line {binding.original.line}: not a setting NAME=value{_name_in(binding)}."
            " A value with signs stands in single quotes, with \\' for ' and \\\\ for \\."
            for binding in bindings
            if binding.error
        ]
    )
    return bindings


def _text(path: Path) -> str:
    if path.is_fifo():
        # Who reads it would wait for a writer.
        raise StackError(f"{path} can't be read: it is a pipe.")
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


def _ports_used_twice(path: Path, values: Mapping[str, str]) -> list[str]:
    problems = []
    owners: dict[str, str] = {}
    for variable in VARIABLES:
        if variable.is_port and variable.name in values:
            other = owners.setdefault(values[variable.name], variable.name)
            if other != variable.name:
                problems.append(f"{path}: {other} and {variable.name} are both {values[variable.name]}.")
    return problems


if __name__ == "__main__":
    print(example(), end="")
