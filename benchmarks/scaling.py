"""Measures how time and memory of each step grow with the number of ratings or movies, and the exponent.

Use: .venv/bin/python benchmarks/scaling.py [--sizes 100000,1000000] [--only load,dbt] [--quick] [--json OUT]
     .venv/bin/python benchmarks/scaling.py --from OUT.json --markdown docs/scaling.md

Each step is measured as in the benchmark of its name, without a baseline. A size that does not fit into
memory is left out. When a step fails, the others still run; the last line names it, and the exit status is 1.
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
from benchkit.extrapolation import RATINGS, USERS, markdown, write_section
from benchkit.figures import readable
from benchkit.machine import machine
from benchkit.plot import plot_curves
from benchkit.program import SIZES, WIDTH, add_output_options, log
from benchkit.scaling_steps import FIGURES, STEPS, Step
from benchkit.synthetic_ratings import make_ratings

# Full, quick and tiny.
DEFAULTS: dict[str, tuple[Any, Any, Any]] = {
    "sizes": ([100_000, 300_000, 1_000_000, 3_000_000, 10_000_000], [30_000, 100_000, 300_000], [900, 3_000]),
    "catalogues": ([5_000, 20_000, 60_000], [5_000, 20_000], [200, 400]),
    "movies": (20_000, 5_000, 300),
    "factors": (128, 64, 8),
    "iterations": (15, 15, 2),
    "runs": (3, 2, 1),
    "load_ms": (5_000, 2_000, 300),
}
# Peak memory of making ratings, for each rating.
BYTES_PER_RATING = 130
# The share of memory that a step may use. The rest is for services, whose memory is not in every curve.
USABLE = 0.7


class ScalingRun:
    """The curves measured so far, and what is missing from them.

    Attributes:
        where: The machine.
        curves: One curve for each step and figure.
        failed: Steps and sizes that failed.
        left_out: Steps and sizes that do not fit into memory.
    """

    def __init__(self, where: dict[str, Any], out: Path | None) -> None:
        self.where = where
        self.curves: list[Curve] = []
        self.failed: list[str] = []
        self.left_out: list[str] = []
        self._out = out

    def measure(self, step: Step, at: int, data: Any, options: argparse.Namespace) -> None:
        """Measure a step at one size, and write the JSON."""
        if any(name.partition(" at ")[0] == step.name for name in (*self.failed, *self.left_out)):
            return
        name = f"{step.name} at {at:,} {step.by}"
        if (needed := self._memory_at(step, at)) > usable_mb():
            self.left_out.append(name)
            log(f"== {name} is left out: it needs about {needed:,.0f} of {usable_mb():,.0f} MB")
            return
        log(f"== {name}")
        try:
            found = step.measure(data, options)
        except Exception:  # noqa: BLE001  reported at the end; the other steps still run
            log(traceback.format_exc())
            self.failed.append(name)
            found = {}
        for figure, runs in found.items():
            self._curve(step, figure).points.append(Point(at, tuple(runs)))
            log(f"   {figure}: {', '.join(map(readable, runs))} {FIGURES[figure]}")
        self.write()

    def write(self) -> None:
        """Write the JSON, if a file is given."""
        if self._out:
            self._out.parent.mkdir(parents=True, exist_ok=True)
            document = {
                "machine": self.where,
                "curves": [curve.to_dict() for curve in self.curves],
                "left_out": self.left_out,
                "failed": self.failed,
            }
            self._out.write_text(json.dumps(document, indent=2) + "\n")

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
                reached = curve.extrapolate(at)
                return reached[0] if reached else curve.last.value
        return 0.0


def usable_mb() -> float:
    """Return the megabytes that a step may take."""
    return float(psutil.virtual_memory().available) / 1e6 * USABLE


def measure(options: argparse.Namespace) -> ScalingRun:
    """Measure every chosen step at every size, the small ones first."""
    scaling_run = ScalingRun(machine(), options.json)
    steps = [step for step in STEPS if step.name in options.only]
    for rows in sorted(options.sizes):
        some = [step for step in steps if step.by == "ratings"]
        if some and rows * BYTES_PER_RATING / 1e6 > usable_mb():
            scaling_run.left_out += [f"{step.name} at {rows:,} ratings" for step in some]
            log(f"== {rows:,} ratings are left out: making them does not fit into memory")
            break
        if some:
            log(f"== making {rows:,} ratings")
            users = max(40, rows // options.ratings_per_user)
            ratings = make_ratings(rows, movies=options.movies, seed=options.seed, users=users)
        for step in some:
            scaling_run.measure(step, rows, ratings, options)
    for movies in sorted(options.catalogues):
        for step in (step for step in steps if step.by == "movies"):
            scaling_run.measure(step, movies, movies, options)
    scaling_run.write()
    return scaling_run


def table(curves: Sequence[Curve]) -> Table:
    """Return the curves as a table."""
    found = Table(
        "figure", "by", "from", "to", "at the smallest", "at the largest", "exponent", "last decade"
    )
    for curve in curves:
        ends = min(curve.points, key=lambda point: point.at), curve.last
        values = (f"{readable(point.value)} {curve.unit}" for point in ends)
        fits = (str(fit) if fit else "" for fit in (curve.fit(), curve.upper_fit()))
        found.add_row(curve.name, curve.by, *(f"{point.at:,}" for point in ends), *values, *fits)
    return found


def report(scaling_run: ScalingRun, options: argparse.Namespace) -> None:
    """Print the table, draw the plot, and fill the document."""
    Console(width=WIDTH, file=sys.stdout).print(table(scaling_run.curves))
    if options.plot:
        plot_curves(scaling_run.curves, options.plot)
    if options.markdown:
        picture = options.plot and os.path.relpath(options.plot, options.markdown.parent)
        write_section(options.markdown, markdown(scaling_run.where, scaling_run.curves, picture))
    for what, names in (("left out", scaling_run.left_out), ("failed", scaling_run.failed)):
        if names:
            log(f"{what}: {', '.join(names)}")


def read(file: Path) -> ScalingRun:
    """Read the curves of an earlier run."""
    document = json.loads(file.read_text())
    scaling_run = ScalingRun(document["machine"], None)
    scaling_run.curves = [Curve.from_dict(one) for one in document["curves"]]
    scaling_run.failed, scaling_run.left_out = document["failed"], document["left_out"]
    return scaling_run


def numbers(text: str) -> list[int]:
    """Parse whole numbers above 0, separated by commas.

    Raises:
        ValueError: The text has another form.
    """
    found = [int(part) for part in text.split(",")]
    if min(found) < 1:
        raise ValueError(text)
    return found


def parsed() -> argparse.Namespace:
    """Return the options; those that are not given have the defaults of the size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    add_output_options(parser)
    names = [step.name for step in STEPS]
    parser.add_argument("--only", type=lambda text: text.split(","), default=names, help=", ".join(names))
    for name, kind in (("sizes", "numbers of ratings"), ("catalogues", "numbers of movies")):
        full, quick, _ = (",".join(map(str, sizes)) for sizes in DEFAULTS[name])
        parser.add_argument(f"--{name}", type=numbers, metavar="LIST", help=f"{kind} ({full}; quick {quick})")
    for name in ("movies", "factors", "iterations", "runs", "load_ms"):
        full, quick, _ = DEFAULTS[name]
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, help=f"({full:,}; quick {quick:,})")
    per_user = RATINGS // USERS
    parser.add_argument("--ratings-per-user", type=int, default=per_user, help=f"on average ({per_user})")
    parser.add_argument("--seed", type=int, default=1, help="seed of the synthetic data (1)")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the tables between the marks of FILE"
    )
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="JSON",
        help="read the curves from JSON instead of measuring",
    )
    options = parser.parse_args()
    if unknown := set(options.only) - set(names):
        parser.error(f"no such step: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    for name, defaults in DEFAULTS.items():
        if getattr(options, name) is None:
            setattr(options, name, defaults[SIZES.index(options.size)])
    return options


def main() -> int:
    """Measure or read curves, report, and return the exit status."""
    # SIGTERM raises SystemExit, so that services are stopped on the way out, as they are after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    options = parsed()
    scaling_run = read(options.source) if options.source else measure(options)
    report(scaling_run, options)
    return 1 if scaling_run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
