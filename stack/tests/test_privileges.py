"""Root starts the warehouse without its capabilities, where that works."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dataflix_stack.services import privileges

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities")
CODE = "print([line for line in open('/proc/self/status') if line.startswith(('CapEff', 'NoNewPrivs'))])"


@as_root
def test_the_program_has_no_capability(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("secret")
    theirs.chmod(0o600)
    os.chown(theirs, 65534, 65534)
    command = privileges.without_capabilities([sys.executable, "-c", CODE], tmp_path / "not" / "yet")
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "CapEff:\\t0000000000000000" in shown
    assert "NoNewPrivs:\\t1" in shown
    command = privileges.without_capabilities([sys.executable, "-c", f"open({str(theirs)!r})"], tmp_path)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "PermissionError" in done.stderr


@as_root
def test_a_command_that_would_not_work_so_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", ""]
    theirs = tmp_path / "theirs"
    (theirs / "data").mkdir(parents=True)
    theirs.chmod(0o700)
    os.chown(theirs, 65534, 65534)
    assert privileges.without_capabilities(command, theirs / "data") == command
    assert privileges.without_capabilities(command, tmp_path) != command
    monkeypatch.setenv("PATH", str(tmp_path))
    assert privileges.without_capabilities(command, tmp_path) == command


def test_an_ordinary_users_command_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert privileges.without_capabilities([sys.executable], tmp_path) == [sys.executable]
