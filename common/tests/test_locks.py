"""One process at a time holds a lock, and the system releases it when that process dies."""

import subprocess
import sys
from pathlib import Path

import pytest

from dataflix_common.locks import LockHeldError, exclusive_lock

HOLDER = """
import sys
from pathlib import Path
from dataflix_common.locks import exclusive_lock
with exclusive_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_process_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "work.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockHeldError, match=r"work\.lock"), exclusive_lock(path):
            pass
        holder.kill()
        holder.wait()
    with exclusive_lock(path):
        pass


def test_a_released_lock_can_be_taken_again(tmp_path: Path) -> None:
    path = tmp_path / "work.lock"
    for _ in range(2):
        with exclusive_lock(path, wait=True):
            pass
