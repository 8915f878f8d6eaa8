"""The command line that all benchmarks have."""

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
"""Flag without dashes -> its defaults: full, quick, and tiny, which only shows that the code works."""


def main(
    about: str,
    sizes: Sizes,
    measure: Callable[[argparse.Namespace], Sequence[Figure]],
    add: Callable[[argparse.ArgumentParser], None] | None = None,
) -> None:
    """Read the options, measure, and tell."""
    # So that services are stopped on the way out, as they are after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    parser = argparse.ArgumentParser(description=about.partition("\n\n")[0])
    add_outputs(parser)
    parser.add_argument("--seed", type=int, default=1, help="of the invented data (1)")
    for name, defaults in {"runs": (5, 3, 1), **sizes}.items():
        told = "times each work is measured" if name == "runs" else "size"
        full, quick, _ = defaults
        parser.add_argument(f"--{name}", type=int, help=f"{told} ({full:,}; quick {quick:,})")
    if add:
        add(parser)
    options = parser.parse_args()
    for name, defaults in {"runs": (5, 3, 1), **sizes}.items():
        if getattr(options, name.replace("-", "_")) is None:
            setattr(options, name.replace("-", "_"), defaults[SIZES.index(options.size)])
    where = machine()
    tell(where, measure(options), options.json, options.plot)


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """Add the options that tell how large it is to be, and where the outcome goes."""
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures here")
    parser.add_argument("--plot", type=Path, metavar="OUT", help="draw them here: OUT.svg or OUT.png")
    parser.add_argument("--size", choices=SIZES, default="full", help="tiny: figures mean nothing")
    # The first of two options for one place says what is there by default.
    parser.add_argument("--quick", dest="size", action="store_const", const="quick", help="smaller data")


def tell(where: dict[str, Any], figures: Sequence[Figure], out: Path | None, picture: Path | None) -> None:
    """Print the table, and write the files that were asked for."""
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


def say(text: str) -> None:
    """Tell on stderr what is being done: a benchmark is silent for minutes otherwise."""
    print(text, file=sys.stderr, flush=True)
