"""The command line that all benchmarks share."""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchkit.figures import Figure, table
from benchkit.machine import machine
from benchkit.plot import plot

WIDTH = 150
SIZES = ("full", "quick", "tiny")

Sizes = Mapping[str, tuple[int, int, int]]
"""Option without dashes -> its defaults: full, quick, and tiny, which only shows that the code works."""


def main(
    about: str,
    sizes: Sizes,
    measure: Callable[[argparse.Namespace], Sequence[Figure]],
    add_options: Callable[[argparse.ArgumentParser], None] | None = None,
) -> None:
    """Read the options, measure, and report.

    Args:
        about: The docstring of the program; its first paragraph is the help text.
        sizes: The options for the size of the data.
        measure: Returns the figures for the options.
        add_options: Adds options that only this benchmark has.
    """
    # SIGTERM raises SystemExit, so that services are stopped on the way out, as they are after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    parser = argparse.ArgumentParser(description=about.partition("\n\n")[0])
    add_output_options(parser)
    parser.add_argument("--seed", type=int, default=1, help="seed of the synthetic data (1)")
    for name, defaults in {"runs": (5, 3, 1), **sizes}.items():
        what = "how often each task is measured" if name == "runs" else "size"
        full, quick, _ = defaults
        parser.add_argument(f"--{name}", type=int, help=f"{what} ({full:,}; quick {quick:,})")
    if add_options:
        add_options(parser)
    options = parser.parse_args()
    for name, defaults in {"runs": (5, 3, 1), **sizes}.items():
        if getattr(options, name.replace("-", "_")) is None:
            setattr(options, name.replace("-", "_"), defaults[SIZES.index(options.size)])
    where = machine()
    report(where, measure(options), options.json, options.plot)


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the size of the data and for where the results go."""
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures to this file")
    parser.add_argument("--plot", type=Path, metavar="OUT", help="draw them into OUT.svg or OUT.png")
    parser.add_argument("--size", choices=SIZES, default="full", help="tiny: the figures mean nothing")
    # --size comes first: of two options with one destination, the first sets the default.
    parser.add_argument("--quick", dest="size", action="store_const", const="quick", help="smaller data")


def report(where: dict[str, Any], figures: Sequence[Figure], out: Path | None, picture: Path | None) -> None:
    """Print the table, and write the JSON and the plot where paths are given."""
    Console(width=WIDTH, file=sys.stdout).print(table(figures))
    if out:
        write(where, figures, out)
    if picture:
        plot(figures, picture)


def write(where: dict[str, Any], figures: Sequence[Figure], out: Path) -> None:
    """Write the JSON."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document(where, figures), indent=2) + "\n")


def document(where: dict[str, Any], figures: Sequence[Figure]) -> dict[str, Any]:
    """Return the JSON of one benchmark or of all."""
    return {"machine": where, "benchmarks": [figure.to_dict() for figure in figures]}


def log(text: str) -> None:
    """Print progress to stderr: a benchmark runs for minutes."""
    print(text, file=sys.stderr, flush=True)
