"""Postgres does not run as root, but reaches a cluster in a folder that only root may enter."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dataflix_stack.services.postgres import as_postgres_user

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root steps down to another user")


def run(code: str) -> str:
    command = as_postgres_user([sys.executable, "-c", code])
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_it_is_not_root_and_has_one_capability() -> None:
    assert run("import os; print(os.getuid(), os.geteuid(), os.getgroups())") == "65534 65534 []"
    status = run("print(open('/proc/self/status').read())")
    assert "CapEff:\t0000000000000002" in status


def test_access_to_a_private_folder_works_as_initdb_checks_it(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    program = private / "program"
    program.write_text("")
    program.chmod(0o755)
    assert run(f"import os; print(os.access({str(program)!r}, os.X_OK))") == "True"
