"""Runs every benchmark, one after the other, and puts their figures together.

Use: .venv/bin/python benchmarks/run_all.py [--quick] [--only elt,serving] [--json OUT] [--plot OUT]

--quick takes at most 15 minutes on two quiet cores. What is being done is told on stderr, and the JSON is
written anew after each. One that fails is told of at the end, and the others go on; the exit status is
then 1.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchkit.figures import Figure
from benchkit.machine import machine
from benchkit.program import add_outputs, say, tell, write

FOLDER = Path(__file__).parent
NAMES = ("elt", "incremental", "dbt_build", "training", "serving", "batch", "embedded", "import")
# Of the full set: other sizes that a goal asks for, beyond those a benchmark takes by itself.
MORE: dict[str, tuple[tuple[str, ...], ...]] = {
    "elt": (("--rows", "1000000"), ("--rows", "20000000", "--runs", "1")),
    "import": (("--rows", "20000000", "--runs", "1"),),
}


# What a benchmark is given to stop its services when it takes too long.
STOP_S = 60


def runs_of(name: str, options: argparse.Namespace) -> list[list[str]]:
    """Return the options of each time that a benchmark is run."""
    words = ["--size", options.size]
    if name == "training" and options.spark_python:
        words += ["--spark-python", str(options.spark_python)]
    return [words, *([*words, *more] for more in MORE.get(name, ()) if options.size == "full")]


def run(name: str, words: list[str], out: Path, limit_s: float | None) -> str:
    """Run a benchmark to its end; return what was wrong with that, nothing as a rule."""
    command = [sys.executable, str(FOLDER / f"{name}.py"), *words, "--json", str(out)]
    # A signal ends this program by an exception: its benchmark is told to stop its services, then waited for.
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            status = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return f"not over after {limit_s:.0f} s"
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(STOP_S)
                except subprocess.TimeoutExpired:
                    process.kill()
    return f"ended with {status}" if status else ""


def main() -> int:
    """Run, tell, and return the exit status."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    options = parsed()
    where = machine()
    figures: list[Figure] = []
    failed = []
    todo = [(name, words) for name in options.only for words in runs_of(name, options)]
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, words) in enumerate(todo, 1):
            out = Path(folder) / f"{number}.json"
            say(f"== {number} of {len(todo)}: {name} {' '.join(words)}")
            since = time.monotonic()
            wrong = run(name, words, out, options.limit)
            now = time.monotonic()
            say(f"== {name} {wrong or 'done'}, {now - since:.0f} s; {now - begun:.0f} s in all")
            if wrong:
                failed.append(f"{name} {' '.join(words)} ({wrong})")
                continue
            figures += [Figure.from_dict(told) for told in json.loads(out.read_text())["benchmarks"]]
            if options.json:
                write(where, figures, options.json)
    tell(where, figures, options.json, options.plot)
    if failed:
        say(f"failed: {'; '.join(failed)}")
    return 1 if failed else 0


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    add_outputs(parser)
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=list(NAMES),
        metavar="NAMES",
        help="some of them, parted by commas",
    )
    parser.add_argument("--spark-python", type=Path, metavar="PYTHON", help="a Python with pyspark and numpy")
    parser.add_argument("--limit", type=float, metavar="SECONDS", help="stop a benchmark that takes longer")
    options = parser.parse_args()
    if unknown := set(options.only) - set(NAMES):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
