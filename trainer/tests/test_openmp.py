"""On a machine without the system's OpenMP library a copy takes its place."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dataflix_trainer import openmp


def test_with_the_library_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openmp, "_loads", lambda: True)
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("started again"))
    openmp.require()


def test_the_linked_copy_is_found_by_the_linker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    folder = openmp._linked_copy()
    assert folder == openmp._linked_copy()
    code = "import ctypes; ctypes.CDLL('libgomp.so.1'); print(open('/proc/self/maps').read())"
    environ = {**os.environ, "LD_LIBRARY_PATH": str(folder)}
    mapped = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert "scikit_learn.libs" in mapped.stdout


def test_without_it_the_command_starts_again_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["trainer", "models", "--json"])
    monkeypatch.setattr(openmp, "_loads", lambda: False)
    monkeypatch.setattr(os, "execv", lambda _, command: started.append(command))
    monkeypatch.setenv("LD_LIBRARY_PATH", "/elsewhere")
    openmp.require()
    assert started == [[sys.executable, "-m", "dataflix_trainer.cli", "models", "--json"]]
    assert os.environ["LD_LIBRARY_PATH"] == f"{tmp_path}/lib/openmp:/elsewhere"
    with pytest.raises(openmp.MissingLibraryError, match="libgomp1"):
        openmp.require()
