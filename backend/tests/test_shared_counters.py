"""Counters that several processes share."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from dataflix_backend.services.access.shared_counters import SharedCounters

ADDS = """
import sys
from pathlib import Path
from dataflix_backend.services.access.shared_counters import SharedCounters
counters = SharedCounters.at(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    with counters.locked("somebody") as count:
        count.current += 1
"""
HOLDS = """
import sys, time
from pathlib import Path
from dataflix_backend.services.access.shared_counters import SharedCounters
with SharedCounters.at(Path(sys.argv[1])).locked("somebody") as count:
    count.current += 1
    print("holding", flush=True)
    time.sleep(600)
"""


def start(program: str, *words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, words)], stdout=subprocess.PIPE, text=True
    )


def present(counters: SharedCounters, name: str) -> int:
    with counters.locked(name) as count:
        return count.current


def test_processes_lose_no_count(tmp_path: Path) -> None:
    path = tmp_path / "counts"
    adding = [start(ADDS, path, 2000) for _ in range(3)]
    assert [process.wait(60) for process in adding] == [0, 0, 0]
    assert present(SharedCounters.at(path), "somebody") == 6000


def test_a_killed_process_releases_its_lock(tmp_path: Path) -> None:
    path = tmp_path / "counts"
    holding = start(HOLDS, path)
    assert holding.stdout is not None
    assert holding.stdout.readline() == "holding\n"
    os.kill(holding.pid, signal.SIGKILL)
    holding.wait(60)
    # The count that it had not written is lost.
    assert present(SharedCounters.at(path), "somebody") == 0


def test_with_too_many_names_the_lowest_counts_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "counts"
    counters = SharedCounters.at(path)
    size = path.stat().st_size
    with counters.locked("busy") as count:
        count.current = 1000
    for number in range(40_000):
        with counters.locked(str(number)) as count:
            count.current += 1
    assert present(counters, "busy") == 1000
    assert present(counters, "39999") == 1
    assert path.stat().st_size == size
