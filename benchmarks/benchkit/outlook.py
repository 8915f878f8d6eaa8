"""Measured curves as Markdown, and what follows from them for a thousand million ratings."""

import math
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from benchkit.curves import Curve
from benchkit.figures import readable

RATINGS, USERS, REQUESTS = 1_000_000_000, 50_000_000, 100_000
# A nightly run has to be over before people come: of a night, so much for each step.
WINDOW_H = 4.0
# Of each of the API's workers by default (DATAFLIX_BACKEND_THREADS); each has its connection to Postgres.
THREADS = 4
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
_UNITS = {"s": (3600.0, "h"), "MB": (1000.0, "GB")}


def markdown(where: dict[str, Any], curves: Sequence[Curve], picture: str | None = None) -> str:
    """Return the section of measured curves and of what they lead to."""
    runs = max((len(point.runs) for curve in curves for point in curve.points), default=1)
    of_each = f"Medians of {runs} runs" if runs > 1 else "One run"
    parts = [
        f"On {where['cores']} cores ({where['cpu']}) with {where['memory_gb']} GB, {where['date']}, commit "
        f"{where['commit']}, load average {where['load_average']} at the start. {of_each} at each size; "
        "exponents with their 95 % interval."
    ]
    for by, some in groupby(sorted(curves, key=lambda curve: curve.by, reverse=True), lambda curve: curve.by):
        parts.append(_measured(by, list(some)))
    if picture:
        parts.append(f"![The curves, both axes logarithmic]({picture})")
    if rows := [row for curve in curves if curve.by == "ratings" and (row := _extrapolated(curve, where))]:
        header = (
            "figure",
            "largest measured",
            "times",
            "to the power of",
            f"at {RATINGS:,} ratings",
            "in proportion",
            f"for {WINDOW_H:g} h, or of memory",
        )
        parts += ["### From these to the large numbers", _table(header, rows)]
    parts += [_requests(curve, where) for curve in curves if curve.figure == "time per request"]
    return "\n\n".join(parts)


def written(document: Path, text: str) -> None:
    """Put a text between the marks of a document.

    Raises ValueError when it has no such marks.
    """
    before, begin, rest = document.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{document} has no lines {BEGIN} and {END} for the figures to stand between")
    document.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def _measured(by: str, curves: Sequence[Curve]) -> str:
    sizes = sorted({point.at for curve in curves for point in curve.points})
    header = (f"by {by}", *(f"{size:,}" for size in sizes), "exponent", "of the last decade")
    rows = []
    for curve in curves:
        values = {point.at: readable(point.value) for point in curve.points}
        cells = (values.get(size, "") for size in sizes)
        fits = (str(fit) if fit else "" for fit in (curve.fit(), curve.upper_fit()))
        rows.append((f"{curve.name}, {curve.unit}", *cells, *fits))
    return _table(header, rows)


def _extrapolated(curve: Curve, where: dict[str, Any]) -> tuple[str, ...] | None:
    """Return a row: what the figure comes to at the large number, and how many cores or machines that is."""
    reached = curve.reaches(RATINGS)
    if reached is None or curve.unit not in _UNITS:
        return None
    divisor, unit = _UNITS[curve.unit]
    middle, low, high = (number / divisor for number in reached)
    # Fixed costs make an exponent too small: what is needed goes by the larger of the two.
    straight = curve.last.value * RATINGS / curve.last.at / divisor
    most = max(middle, straight)
    if curve.unit == "s":
        need = f"{math.ceil(most * where['cores'] / WINDOW_H):,} cores, if all of it divides"
    else:
        need = (
            f"{math.ceil(most / where['memory_gb']):,} times this memory" if curve.figure == "memory" else ""
        )
    spread = f" ({readable(low)} to {readable(high)})" if low < high else ""
    return (
        curve.name,
        f"{readable(curve.last.value)} {curve.unit} at {curve.last.at:,}",
        f"{RATINGS / curve.last.at:,.0f}",
        str(curve.upper_fit()),
        f"{readable(middle)} {unit}{spread}",
        f"{readable(straight)} {unit}",
        need,
    )


def _requests(curve: Curve, where: dict[str, Any]) -> str:
    """Return how many cores so many requests a second need, and what their workers ask of Postgres."""
    rows = []
    for point in curve.points:
        rate = 1000 / point.value
        cores = math.ceil(REQUESTS / rate * where["cores"])
        rows.append((f"{point.at:,}", readable(rate), f"{cores:,}", f"{cores:,}", f"{cores * THREADS:,}"))
    header = (
        "films",
        f"requests/s, {where['cores']} cores",
        f"cores for {REQUESTS:,}/s",
        "workers, one a core",
        f"connections at {THREADS} threads",
    )
    note = "The client and Postgres ran on the same cores, so fewer cores are needed for the API alone."
    return f"### {REQUESTS:,} requests a second\n\n{_table(header, rows)}\n\n{note}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ("---", *("---:" for _ in header[1:]))
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))
