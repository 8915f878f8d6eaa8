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
            assert name in command.help, f"the help of {path} does not tell of {name}"


@pytest.mark.parametrize(("path", "command"), ALL, ids=[path for path, _ in ALL])
def test_every_command_but_completion_speaks_json(path: str, command: click.Command) -> None:
    speaks = any("--json" in parameter.opts for parameter in command.params)
    assert speaks or isinstance(command, click.Group) or path == "dataflix completion"


def test_reference_is_current() -> None:
    assert cli_reference.DOCUMENT.read_text() == cli_reference.reference()


def test_exit_codes_are_documented(lonely: Invoke) -> None:
    told = lonely("--help").out
    assert all(f" {code} " in told.replace("\n", " ") for code in Exit)


def test_bare_command_without_terminal_prints_help_and_fails(tmp_path: Path) -> None:
    ended = subprocess.run(
        [COMMAND], stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Usage: dataflix" in ended.stderr


def test_version_is_the_package_s(lonely: Invoke) -> None:
    assert lonely("--version").out == "0.1.0\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_is_printed_without_settings(lonely: Invoke, shell: str) -> None:
    ended = lonely("completion", shell)
    assert ended.code == 0
    assert "_DATAFLIX_COMPLETE" in ended.out


def test_shell_completes_subcommands(tmp_path: Path) -> None:
    environ = {
        **os.environ,
        "_DATAFLIX_COMPLETE": "bash_complete",
        "COMP_WORDS": "dataflix rat",
        "COMP_CWORD": "1",
    }
    ended = subprocess.run([COMMAND], env=environ, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ended.stdout.split() == ["plain,rate", "plain,ratings"]


def test_reader_that_leaves_early_is_no_error(server: Server, tmp_path: Path) -> None:
    shell = f"'{COMMAND}' movies list --limit 100 --json | head -n 1; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(
        ["bash", "-c", shell], env=server.environ, capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "{\n", "")


def test_plain_ascii_output_shows_codes_instead_of_failing(server: Server, tmp_path: Path) -> None:
    environ = {**server.environ, "PYTHONIOENCODING": "ascii"}
    ended = subprocess.run(
        [COMMAND, "movies", "list", "am"],
        env=environ,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Am\\xe9lie" in ended.stdout


def test_module_needs_no_backend() -> None:
    code = "import sys, dataflix_cli.main; print(*{name.partition('.')[0] for name in sys.modules})"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {name for name in ended.stdout.split() if name.startswith("dataflix")} == {"dataflix_cli"}
