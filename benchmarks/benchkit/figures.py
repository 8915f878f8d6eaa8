"""What a benchmark finds: figures with a baseline and a target, as JSON and as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from rich import box
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on our figure divided by the baseline."""

    sense: Literal[">=", "<="]
    ratio: float

    def is_met(self, ratio: float) -> bool:
        """Return whether ``ratio`` is within the bound."""
        return ratio >= self.ratio if self.sense == ">=" else ratio <= self.ratio

    def __str__(self) -> str:
        return f"ratio {self.sense} {self.ratio:g}"


def at_least(ratio: float) -> Target:
    """Return a target for figures of which more is better."""
    return Target(">=", ratio)


def at_most(ratio: float) -> Target:
    """Return a target for figures of which less is better."""
    return Target("<=", ratio)


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a benchmark.

    Attributes:
        name: What was measured.
        unit: The unit of ``runs`` and ``baseline``.
        runs: The result of each of our runs, empty when it could not be measured here.
        baseline: The median of the baseline's runs. Where the target is an amount, it is that amount.
        target: The bound on our median divided by the baseline.
        peak_rss_mb: Peak memory in megabytes.
    """

    name: str
    unit: str
    runs: tuple[float, ...]
    baseline: float | None
    target: Target
    peak_rss_mb: float | None = None

    @classmethod
    def of(
        cls,
        name: str,
        unit: str,
        ours: Sequence[float],
        baseline: Sequence[float] | float,
        target: Target,
        *,
        peak: float | None = None,
    ) -> "Figure":
        """Return a figure of our runs and the baseline's, or an amount; ``peak`` is in megabytes."""
        middle = float(baseline) if isinstance(baseline, int | float) else median(baseline)
        return cls(name, unit, tuple(ours), middle, target, peak)

    @classmethod
    def not_run(cls, name: str, unit: str, target: Target) -> "Figure":
        """Return a figure that could not be measured here."""
        return cls(name, unit, (), None, target)

    @property
    def value(self) -> float | None:
        """Our median."""
        return median(self.runs) if self.runs else None

    @property
    def ratio(self) -> float | None:
        """Our median divided by the baseline."""
        return self.value / self.baseline if self.value is not None and self.baseline else None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "name": self.name,
            "value": _rounded(self.value),
            "unit": self.unit,
            "baseline": _rounded(self.baseline),
            "ratio": _rounded(self.ratio),
            "target": str(self.target),
            "peak_rss_mb": _rounded(self.peak_rss_mb),
            "runs": [_rounded(run) for run in self.runs],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Figure":
        """Read the JSON form."""
        _, sense, bound = values["target"].split()
        return cls(
            values["name"],
            values["unit"],
            tuple(values["runs"]),
            values["baseline"],
            Target(sense, float(bound)),
            values["peak_rss_mb"],
        )


def table(figures: Sequence[Figure]) -> Table:
    """Return the figures as a table: median, lowest and highest run, baseline, ratio, target."""
    result = Table(box=box.SIMPLE_HEAD)
    result.add_column("benchmark", no_wrap=True)
    for name in ("ours", "lowest", "highest", "baseline"):
        result.add_column(name, justify="right")
    result.add_column("unit")
    for name in ("ratio", "target", "peak MB"):
        result.add_column(name, justify="right")
    for figure in figures:
        ratio = figure.ratio
        if figure.value is None or ratio is None:
            result.add_row(figure.name, "not run", "", "", "", figure.unit, "", str(figure.target), "")
            continue
        outcome = "met" if figure.target.is_met(ratio) else "missed"
        numbers = (figure.value, min(figure.runs), max(figure.runs), figure.baseline)
        result.add_row(
            figure.name,
            *map(readable, numbers),
            figure.unit,
            f"{ratio:.3g}",
            f"{figure.target} {outcome}",
            "" if figure.peak_rss_mb is None else f"{figure.peak_rss_mb:.0f}",
        )
    return result


_NO_DECIMALS_FROM = 1000


def readable(number: float | None) -> str:
    """Return a number with three digits, or without decimals if it is large; an empty string for None."""
    if number is None:
        return ""
    return f"{number:,.0f}" if number >= _NO_DECIMALS_FROM else f"{number:.3g}"


def _rounded(number: float | None) -> float | None:
    """Keep six digits: measurements are not more exact."""
    return None if number is None else float(f"{number:.6g}")
