"""What a benchmark finds: figures with a yardstick and a goal, as JSON and as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from rich import box
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound of the ratio of our figure to the yardstick's."""

    sense: Literal[">=", "<="]
    ratio: float

    def is_met(self, ratio: float) -> bool:
        """Say whether a ratio is within the bound."""
        return ratio >= self.ratio if self.sense == ">=" else ratio <= self.ratio

    def __str__(self) -> str:
        return f"ratio {self.sense} {self.ratio:g}"


def at_least(ratio: float) -> Goal:
    """More is better."""
    return Goal(">=", ratio)


def at_most(ratio: float) -> Goal:
    """Less is better."""
    return Goal("<=", ratio)


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: what each of our ``runs`` gave, and the yardstick's median in the same unit.

    Where a goal is an amount, the yardstick is that amount. Without runs it was not measured.
    """

    name: str
    unit: str
    runs: tuple[float, ...]
    yardstick: float | None
    goal: Goal
    peak_rss_mb: float | None = None

    @classmethod
    def of(
        cls,
        name: str,
        unit: str,
        ours: Sequence[float],
        yardstick: Sequence[float] | float,
        goal: Goal,
        *,
        peak: float | None = None,
    ) -> "Figure":
        """Make one of our runs and the yardstick's, or of a limit; ``peak`` in megabytes."""
        middle = float(yardstick) if isinstance(yardstick, int | float) else median(yardstick)
        return cls(name, unit, tuple(ours), middle, goal, peak)

    @classmethod
    def not_run(cls, name: str, unit: str, goal: Goal) -> "Figure":
        """Make one that could not be measured here."""
        return cls(name, unit, (), None, goal)

    @property
    def value(self) -> float | None:
        """Our median."""
        return median(self.runs) if self.runs else None

    @property
    def ratio(self) -> float | None:
        """Our median over the yardstick's."""
        return self.value / self.yardstick if self.value is not None and self.yardstick else None

    def to_dict(self) -> dict[str, Any]:
        """Return what stands in the JSON."""
        return {
            "name": self.name,
            "value": _short(self.value),
            "unit": self.unit,
            "yardstick": _short(self.yardstick),
            "ratio": _short(self.ratio),
            "goal": str(self.goal),
            "peak_rss_mb": _short(self.peak_rss_mb),
            "runs": [_short(run) for run in self.runs],
        }

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> "Figure":
        """Read one from the JSON."""
        _, sense, bound = told["goal"].split()
        return cls(
            told["name"],
            told["unit"],
            tuple(told["runs"]),
            told["yardstick"],
            Goal(sense, float(bound)),
            told["peak_rss_mb"],
        )


def table(figures: Sequence[Figure]) -> Table:
    """Return the figures for people: median, spread (lowest and highest run), yardstick, ratio, goal."""
    found = Table(box=box.SIMPLE_HEAD)
    found.add_column("benchmark", no_wrap=True)
    for name in ("ours", "lowest", "highest", "yardstick"):
        found.add_column(name, justify="right")
    found.add_column("unit")
    for name in ("ratio", "goal", "peak MB"):
        found.add_column(name, justify="right")
    for figure in figures:
        ratio = figure.ratio
        if figure.value is None or ratio is None:
            found.add_row(figure.name, "not run", "", "", "", figure.unit, "", str(figure.goal), "")
            continue
        mark = "met" if figure.goal.is_met(ratio) else "missed"
        numbers = (figure.value, min(figure.runs), max(figure.runs), figure.yardstick)
        found.add_row(
            figure.name,
            *map(readable, numbers),
            figure.unit,
            f"{ratio:.3g}",
            f"{figure.goal} {mark}",
            "" if figure.peak_rss_mb is None else f"{figure.peak_rss_mb:.0f}",
        )
    return found


_WHOLE_FROM = 1000


def readable(number: float | None) -> str:
    """Return three digits, or all before the point; nothing for None."""
    if number is None:
        return ""
    return f"{number:,.0f}" if number >= _WHOLE_FROM else f"{number:.3g}"


def _short(number: float | None) -> float | None:
    """Keep six digits: more were not measured."""
    return None if number is None else float(f"{number:.6g}")
