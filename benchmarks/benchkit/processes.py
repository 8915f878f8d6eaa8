"""Runs programs of the benchmarks in their own processes, so that memory is measured for each alone."""

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
class ProgramResult:
    """The result of a program.

    Attributes:
        output: What it printed.
        peak_rss_mb: The peak memory of the program and its children together.
    """

    output: str
    peak_rss_mb: float

    @property
    def json(self) -> Any:
        """The JSON of the last line of the output."""
        return json.loads(self.output.strip().splitlines()[-1])


def run(command: list[str], environ: Mapping[str, str]) -> ProgramResult:
    """Run a program to its end.

    Raises:
        RuntimeError: The program failed. The message has the end of its output.
    """
    with (
        subprocess.Popen(
            command,
            env=clean_environ({**library_path(), **environ}),
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
    return ProgramResult(output, memory.megabytes)


def run_worker(
    name: str, *arguments: object, environ: Mapping[str, str], python: Path = CORE_PYTHON
) -> ProgramResult:
    """Run a program of ``benchmarks/workers`` to its end.

    Raises:
        RuntimeError: The program failed.
    """
    return run([str(python), str(WORKERS / f"{name}.py"), *map(str, arguments)], environ)


@cache
def library_path() -> dict[str, str]:
    """Return the variable that lets `implicit` find OpenMP, on machines that have none of their own."""
    command = [str(CORE_PYTHON), "-m", "dataflix_trainer.openmp"]
    folder = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return {"LD_LIBRARY_PATH": folder} if folder else {}
