"""Runs the benchmarks one after the other and collects their figures.

Use: .venv/bin/python benchmarks/run_all.py [--quick] [--only elt,serving] [--json OUT] [--plot OUT]

--quick takes at most 15 minutes on two idle cores. Progress goes to stderr, and the JSON is rewritten after
each benchmark. When one fails, the others still run; the last line names it, and the exit status is 1.
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
from benchkit.program import add_output_options, log, report, write

FOLDER = Path(__file__).parent
NAMES = ("elt", "incremental", "dbt_build", "training", "serving", "batch", "embedded", "import")
# Further runs of the full set, at sizes that a target asks for.
MORE: dict[str, tuple[tuple[str, ...], ...]] = {
    "elt": (("--rows", "1000000"), ("--rows", "20000000", "--runs", "1")),
    "import": (("--rows", "20000000", "--runs", "1"),),
}


# Seconds that a benchmark has to stop its services when it takes too long.
STOP_S = 60


def runs_of(name: str, options: argparse.Namespace) -> list[list[str]]:
    """Return the options of each run of a benchmark."""
    words = ["--size", options.size]
    if name == "training" and options.spark_python:
        words += ["--spark-python", str(options.spark_python)]
    return [words, *([*words, *more] for more in MORE.get(name, ()) if options.size == "full")]


def run(name: str, words: list[str], out: Path, limit_s: float | None) -> str:
    """Run a benchmark to its end, and return what went wrong, or an empty string."""
    command = [sys.executable, str(FOLDER / f"{name}.py"), *words, "--json", str(out)]
    # A signal ends this program by an exception. The benchmark is then asked to stop its services.
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            status = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return f"not finished after {limit_s:.0f} s"
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(STOP_S)
                except subprocess.TimeoutExpired:
                    process.kill()
    return f"exit status {status}" if status else ""


def main() -> int:
    """Run the benchmarks, report, and return the exit status."""
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
            log(f"== {number} of {len(todo)}: {name} {' '.join(words)}")
            since = time.monotonic()
            error = run(name, words, out, options.limit)
            now = time.monotonic()
            log(f"== {name} {error or 'done'}, {now - since:.0f} s; {now - begun:.0f} s in all")
            if error:
                failed.append(f"{name} {' '.join(words)} ({error})")
                continue
            figures += [Figure.from_dict(values) for values in json.loads(out.read_text())["benchmarks"]]
            if options.json:
                write(where, figures, options.json)
    report(where, figures, options.json, options.plot)
    if failed:
        log(f"failed: {'; '.join(failed)}")
    return 1 if failed else 0


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    add_output_options(parser)
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=list(NAMES),
        metavar="NAMES",
        help="only these, separated by commas",
    )
    parser.add_argument("--spark-python", type=Path, metavar="PYTHON", help="a Python with pyspark and numpy")
    parser.add_argument("--limit", type=float, metavar="SECONDS", help="stop a benchmark that takes longer")
    options = parser.parse_args()
    if unknown := set(options.only) - set(NAMES):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
