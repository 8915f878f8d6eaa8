"""Measured curves as Markdown, and their extrapolation to 10^9 ratings."""

import math
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from benchkit.curves import Curve
from benchkit.figures import readable

RATINGS, USERS, REQUESTS = 1_000_000_000, 50_000_000, 100_000
# The hours of a night that each step may take.
WINDOW_H = 4.0
# Threads of an API worker by default (DATAFLIX_BACKEND_THREADS). Each has its own connection to Postgres.
THREADS = 4
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
_UNITS = {"s": (3600.0, "h"), "MB": (1000.0, "GB")}


def markdown(where: dict[str, Any], curves: Sequence[Curve], picture: str | None = None) -> str:
    """Return the section with the measured curves and their extrapolation."""
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


def write_section(document: Path, text: str) -> None:
    """Replace the text between the marks of a document.

    Raises:
        ValueError: The document has no marks.
    """
    before, begin, rest = document.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{document} has no lines {BEGIN} and {END} to put the figures between")
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
    """Return a row: the figure at RATINGS, and the cores or machines that it needs."""
    extrapolated = curve.extrapolate(RATINGS)
    if extrapolated is None or curve.unit not in _UNITS:
        return None
    divisor, unit = _UNITS[curve.unit]
    middle, low, high = (number / divisor for number in extrapolated)
    # Fixed costs make an exponent too small, so the need follows from the larger of the two.
    proportional = curve.last.value * RATINGS / curve.last.at / divisor
    most = max(middle, proportional)
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
        f"{readable(proportional)} {unit}",
        need,
    )


def _requests(curve: Curve, where: dict[str, Any]) -> str:
    """Return the cores that REQUESTS a second need, and the connections of their workers to Postgres."""
    rows = []
    for point in curve.points:
        rate = 1000 / point.value
        cores = math.ceil(REQUESTS / rate * where["cores"])
        rows.append((f"{point.at:,}", readable(rate), f"{cores:,}", f"{cores:,}", f"{cores * THREADS:,}"))
    header = (
        "movies",
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
