"""Programs of the benchmarks that run in a process of their own, so that its memory is theirs alone."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchkit import CORE_PYTHON, ROOT, WORKERS
from benchkit.memory import PeakMemory
from dataflix_testkit.process import clean_environ


@dataclass(frozen=True, slots=True)
class Ended:
    """What a program printed, and the most memory that it and its children had at once."""

    output: str
    peak_rss_mb: float

    @property
    def told(self) -> Any:
        """The JSON of its last line."""
        return json.loads(self.output.strip().splitlines()[-1])


def run(command: list[str], environ: Mapping[str, str]) -> Ended:
    """Run a program to its end.

    Raises RuntimeError with the end of what it said when it failed.
    """
    with (
        subprocess.Popen(
            command,
            env=clean_environ({**search_path(), **environ}),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        PeakMemory(process.pid) as memory,
    ):
        output, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{(output + errors).strip()[-3000:]}")
    return Ended(output, memory.megabytes)


def worker(name: str, *words: object, environ: Mapping[str, str], python: Path = CORE_PYTHON) -> Ended:
    """Run a program of ``benchmarks/workers`` to its end; raises RuntimeError."""
    return run([str(python), str(WORKERS / f"{name}.py"), *map(str, words)], environ)


@cache
def search_path() -> dict[str, str]:
    """Return where `implicit` finds the compiler's runtime, on machines that have none of their own."""
    command = [str(CORE_PYTHON), "-m", "dataflix_trainer.openmp"]
    folder = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return {"LD_LIBRARY_PATH": folder} if folder else {}
