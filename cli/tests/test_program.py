"""The installed command as a process: help, streams, exit codes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from dataflix_cli.errors import Exit
from dataflix_cli.main import cli
from dataflix_tools import cli_reference

from .conftest import Invoke, Server
from .support.terminal import COMMAND


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, f"{path} {name}")


ALL = list(commands(cli, "dataflix"))


@pytest.mark.parametrize(("path", "command"), ALL, ids=[path for path, _ in ALL])
def test_every_command_and_option_has_help(path: str, command: click.Command) -> None:
    assert command.help
    assert "..." not in command.get_short_help_str(limit=65)
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{path} {parameter.opts}"
        elif parameter.required or not isinstance(command, click.Group):
            name = (parameter.name or "").upper()
            assert name in command.help, f"the help of {path} does not mention {name}"


@pytest.mark.parametrize(("path", "command"), ALL, ids=[path for path, _ in ALL])
def test_every_command_but_completion_has_json(path: str, command: click.Command) -> None:
    has_json = any("--json" in parameter.opts for parameter in command.params)
    assert has_json or isinstance(command, click.Group) or path in ("dataflix completion", "dataflix source")


def test_reference_is_current() -> None:
    assert cli_reference.DOCUMENT.read_text() == cli_reference.reference()


def test_exit_codes_are_documented(isolated: Invoke) -> None:
    shown = isolated("--help").out
    assert all(f" {code} " in shown.replace("\n", " ") for code in Exit)


def test_bare_command_without_terminal_prints_help_and_fails(tmp_path: Path) -> None:
    result = subprocess.run(
        [COMMAND], stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert "Usage: dataflix" in result.stderr


def test_version_is_the_package_s(isolated: Invoke) -> None:
    assert isolated("--version").out == "0.1.0\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_is_printed_without_settings(isolated: Invoke, shell: str) -> None:
    result = isolated("completion", shell)
    assert result.code == 0
    assert "_DATAFLIX_COMPLETE" in result.out


def test_shell_completes_subcommands(tmp_path: Path) -> None:
    environ = {
        **os.environ,
        "_DATAFLIX_COMPLETE": "bash_complete",
        "COMP_WORDS": "dataflix rat",
        "COMP_CWORD": "1",
    }
    result = subprocess.run([COMMAND], env=environ, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert result.stdout.split() == ["plain,rate", "plain,ratings"]


def test_closed_pipe_is_not_an_error(server: Server, tmp_path: Path) -> None:
    shell = f"'{COMMAND}' movies list --limit 100 --json | head -n 1; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(
        ["bash", "-c", shell], env=server.environ, capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "{\n", "")


def test_ascii_output_shows_codes_for_other_characters(server: Server, tmp_path: Path) -> None:
    environ = {**server.environ, "PYTHONIOENCODING": "ascii"}
    result = subprocess.run(
        [COMMAND, "movies", "list", "am"],
        env=environ,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "Am\\xe9lie" in result.stdout


def test_package_imports_only_common() -> None:
    code = "import sys, dataflix_cli.main; print(*{name.partition('.')[0] for name in sys.modules})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {name for name in result.stdout.split() if name.startswith("dataflix")} == {
        "dataflix_cli",
        "dataflix_common",
    }
