"""Runs every benchmark, one after the other, and puts their figures together.

Use: .venv/bin/python benchmarks/run_all.py [--quick] [--only elt,serving] [--json OUT] [--plot OUT]

--quick takes at most 15 minutes on two quiet cores. One that fails is told of, and the others go on; the exit
status is then 1.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchkit.figures import Figure
from benchkit.machine import machine
from benchkit.program import add_outputs, say, tell

FOLDER = Path(__file__).parent
NAMES = ("elt", "incremental", "dbt_build", "training", "serving", "batch", "embedded", "import")
# Of the full set: other sizes that a goal asks for, beyond those a benchmark takes by itself.
MORE: dict[str, tuple[tuple[str, ...], ...]] = {
    "elt": (("--rows", "1000000"), ("--rows", "20000000", "--runs", "1")),
    "import": (("--rows", "20000000", "--runs", "1"),),
}


def runs_of(name: str, size: str) -> list[tuple[str, ...]]:
    """Return the options of each time that a benchmark is run."""
    return [("--size", size), *(("--size", size, *words) for words in MORE.get(name, ()) if size == "full")]


def main() -> int:
    """Run, tell, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    add_outputs(parser)
    parser.add_argument(
        "--only", default=",".join(NAMES), metavar="NAMES", help="some of them, parted by commas"
    )
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := set(chosen) - set(NAMES):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    where = machine()
    figures: list[Figure] = []
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            for words in runs_of(name, options.size):
                out = Path(folder) / "out.json"
                command = [sys.executable, str(FOLDER / f"{name}.py"), *words, "--json", str(out)]
                say(f"== {name} {' '.join(words)}")
                begun = time.monotonic()
                done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
                say(f"== {name} ended with {done.returncode} after {time.monotonic() - begun:.0f} s")
                if done.returncode:
                    failed.append(name)
                    continue
                figures += [Figure.from_dict(told) for told in json.loads(out.read_text())["benchmarks"]]
    tell(where, figures, options.json, options.plot)
    if failed:
        say(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
