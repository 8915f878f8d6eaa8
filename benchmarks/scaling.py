"""How time and memory of each step grow with the number of ratings, or of films, and with which exponent.

Use: .venv/bin/python benchmarks/scaling.py [--sizes 100000,1000000] [--only load,dbt] [--quick] [--json OUT]
     .venv/bin/python benchmarks/scaling.py --from OUT.json --markdown docs/scaling.md

Each step is the one that the benchmark of its name measures, without its yardstick. A size for which memory
would not do is left out. A step that fails is told of, and the others go on; the exit status is then 1.
"""

import argparse
import json
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from benchkit.curves import Curve, Point
from benchkit.data import make_ratings
from benchkit.figures import readable
from benchkit.growth import FIGURES, STEPS, Step
from benchkit.machine import machine
from benchkit.outlook import RATINGS, USERS, markdown, written
from benchkit.plot import plot_curves
from benchkit.program import SIZES, WIDTH, add_outputs, say

# Full, quick and tiny.
DEFAULTS: dict[str, tuple[Any, Any, Any]] = {
    "sizes": ([100_000, 300_000, 1_000_000, 3_000_000, 10_000_000], [30_000, 100_000, 300_000], [900, 3_000]),
    "catalogues": ([5_000, 20_000, 60_000], [5_000, 20_000], [200, 400]),
    "films": (20_000, 5_000, 300),
    "factors": (128, 64, 8),
    "iterations": (15, 15, 2),
    "runs": (3, 2, 1),
    "load_ms": (5_000, 2_000, 300),
}
# Making ratings takes about so many bytes for each, most of them for a moment.
BYTES_PER_RATING = 130
# The rest is for the services, whose memory is not in every curve.
USABLE = 0.7


class Growing:
    """The curves as far as they are measured, and what is missing from them."""

    def __init__(self, where: dict[str, Any], out: Path | None) -> None:
        self.where = where
        self.curves: list[Curve] = []
        self.failed: list[str] = []
        self.left_out: list[str] = []
        self._out = out

    def measure(self, step: Step, at: int, data: Any, options: argparse.Namespace) -> None:
        """Measure a step at one size, and write down what there is so far."""
        if any(name.partition(" at ")[0] == step.name for name in (*self.failed, *self.left_out)):
            return
        name = f"{step.name} at {at:,} {step.by}"
        if (needed := self._memory_at(step, at)) > usable_mb():
            self.left_out.append(name)
            say(f"== {name} is left out: it would take about {needed:,.0f} MB, {usable_mb():,.0f} are there")
            return
        say(f"== {name}")
        try:
            found = step.measure(data, options)
        except Exception:  # noqa: BLE001  told at the end; the other steps are worth having
            say(traceback.format_exc())
            self.failed.append(name)
            found = {}
        for figure, runs in found.items():
            self._curve(step, figure).points.append(Point(at, tuple(runs)))
            say(f"   {figure}: {', '.join(map(readable, runs))} {FIGURES[figure]}")
        self.write()

    def write(self) -> None:
        """Write the JSON, where one was asked for."""
        if self._out:
            self._out.parent.mkdir(parents=True, exist_ok=True)
            told = {
                "machine": self.where,
                "curves": [curve.to_dict() for curve in self.curves],
                "left_out": self.left_out,
                "failed": self.failed,
            }
            self._out.write_text(json.dumps(told, indent=2) + "\n")

    def _curve(self, step: Step, figure: str) -> Curve:
        for curve in self.curves:
            if (curve.work, curve.figure) == (step.name, figure):
                return curve
        self.curves.append(Curve(step.name, figure, step.by, FIGURES[figure]))
        return self.curves[-1]

    def _memory_at(self, step: Step, at: int) -> float:
        """Return the megabytes that a step will take, by its curve so far; 0 while there is none."""
        for curve in self.curves:
            if (curve.work, curve.figure) == (step.name, "memory"):
                reached = curve.reaches(at)
                return reached[0] if reached else curve.last.value
        return 0.0


def usable_mb() -> float:
    """Return the megabytes that a step may take."""
    return float(psutil.virtual_memory().available) / 1e6 * USABLE


def measure(options: argparse.Namespace) -> Growing:
    """Measure every chosen step at every size, the small ones first."""
    growing = Growing(machine(), options.json)
    steps = [step for step in STEPS if step.name in options.only]
    for rows in sorted(options.sizes):
        some = [step for step in steps if step.by == "ratings"]
        if some and rows * BYTES_PER_RATING / 1e6 > usable_mb():
            growing.left_out += [f"{step.name} at {rows:,} ratings" for step in some]
            say(f"== {rows:,} ratings are left out: making them alone would take the memory")
            break
        if some:
            say(f"== inventing {rows:,} ratings")
            users = max(40, rows // options.ratings_per_user)
            ratings = make_ratings(rows, films=options.films, seed=options.seed, users=users)
        for step in some:
            growing.measure(step, rows, ratings, options)
    for films in sorted(options.catalogues):
        for step in (step for step in steps if step.by == "films"):
            growing.measure(step, films, films, options)
    growing.write()
    return growing


def table(curves: Sequence[Curve]) -> Table:
    """Return the curves for people."""
    found = Table(
        "figure", "by", "from", "to", "at the smallest", "at the largest", "exponent", "last decade"
    )
    for curve in curves:
        ends = min(curve.points, key=lambda point: point.at), curve.last
        values = (f"{readable(point.value)} {curve.unit}" for point in ends)
        fits = (str(fit) if fit else "" for fit in (curve.fit(), curve.upper_fit()))
        found.add_row(curve.name, curve.by, *(f"{point.at:,}" for point in ends), *values, *fits)
    return found


def tell(growing: Growing, options: argparse.Namespace) -> None:
    """Print the table, draw, and fill the document."""
    Console(width=WIDTH, file=sys.stdout).print(table(growing.curves))
    if options.plot:
        plot_curves(growing.curves, options.plot)
    if options.markdown:
        picture = options.plot and os.path.relpath(options.plot, options.markdown.parent)
        written(options.markdown, markdown(growing.where, growing.curves, picture))
    for what, names in (("left out", growing.left_out), ("failed", growing.failed)):
        if names:
            say(f"{what}: {', '.join(names)}")


def read(file: Path) -> Growing:
    """Read what an earlier call has measured."""
    told = json.loads(file.read_text())
    growing = Growing(told["machine"], None)
    growing.curves = [Curve.from_dict(one) for one in told["curves"]]
    growing.failed, growing.left_out = told["failed"], told["left_out"]
    return growing


def numbers(text: str) -> list[int]:
    """Read whole numbers above 0, parted by commas; raises ValueError."""
    found = [int(part) for part in text.split(",")]
    if min(found) < 1:
        raise ValueError(text)
    return found


def parsed() -> argparse.Namespace:
    """Return the options; what is not given has the default of its size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    add_outputs(parser)
    names = [step.name for step in STEPS]
    parser.add_argument("--only", type=lambda text: text.split(","), default=names, help=", ".join(names))
    for name, kind in (("sizes", "numbers of ratings"), ("catalogues", "numbers of films")):
        full, quick, _ = (",".join(map(str, sizes)) for sizes in DEFAULTS[name])
        parser.add_argument(f"--{name}", type=numbers, metavar="LIST", help=f"{kind} ({full}; quick {quick})")
    for name in ("films", "factors", "iterations", "runs", "load_ms"):
        full, quick, _ = DEFAULTS[name]
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, help=f"({full:,}; quick {quick:,})")
    per_user = RATINGS // USERS
    parser.add_argument("--ratings-per-user", type=int, default=per_user, help=f"on average ({per_user})")
    parser.add_argument("--seed", type=int, default=1, help="of the invented data (1)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put tables between the marks of FILE")
    parser.add_argument(
        "--from", dest="source", type=Path, metavar="JSON", help="measure nothing, read these"
    )
    options = parser.parse_args()
    if unknown := set(options.only) - set(names):
        parser.error(f"no such step: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    for name, defaults in DEFAULTS.items():
        if getattr(options, name) is None:
            setattr(options, name, defaults[SIZES.index(options.size)])
    return options


def main() -> int:
    """Measure or read, tell, and return the exit status."""
    # So that services are stopped on the way out, as they are after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    options = parsed()
    growing = read(options.source) if options.source else measure(options)
    tell(growing, options)
    return 1 if growing.failed else 0


if __name__ == "__main__":
    sys.exit(main())
