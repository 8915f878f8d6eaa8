"""How a figure grows with the size of the data: its points, and the exponent that they follow."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Self

import numpy as np
from scipy import stats

# Fixed costs, such as the start of a program, flatten a curve where data are few. What is said of larger data
# rests on the sizes of the last decade alone.
UPPER = 10
_CONFIDENCE = 0.95
_SIZES_FOR_A_FIT = 2


@dataclass(frozen=True, slots=True)
class Point:
    """What each run gave at one size."""

    at: int
    runs: tuple[float, ...]

    @property
    def value(self) -> float:
        """The median."""
        return median(self.runs)


@dataclass(frozen=True, slots=True)
class Fit:
    """Figures grow as size to the power of ``exponent``: least squares over the logarithms of all runs.

    ``low`` and ``high`` bound its 95 % interval; with no more runs than unknowns there is none.
    """

    exponent: float
    low: float | None
    high: float | None
    since: int

    def to_dict(self) -> dict[str, Any]:
        """Return what stands in the JSON."""
        low, high = (None if bound is None else round(bound, 4) for bound in (self.low, self.high))
        return {"exponent": round(self.exponent, 4), "low": low, "high": high, "since": self.since}

    def __str__(self) -> str:
        """Return the exponent with its interval."""
        if self.low is None or self.high is None:
            return f"{self.exponent:.2f}"
        return f"{self.exponent:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(slots=True)
class Curve:
    """One figure of one work at growing sizes; ``by`` says what grows, ratings or films."""

    work: str
    figure: str
    by: str
    unit: str
    points: list[Point] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Work and figure."""
        return f"{self.work}: {self.figure}"

    @property
    def last(self) -> Point:
        """The largest size that was measured."""
        return max(self.points, key=lambda point: point.at)

    def fit(self) -> Fit | None:
        """Return the exponent over all sizes; None with fewer than two."""
        return _fit(self.points)

    def upper_fit(self) -> Fit | None:
        """Return the exponent over the last decade of sizes, or over the two largest."""
        largest = sorted(self.points, key=lambda point: point.at)
        upper = [point for point in largest if point.at * UPPER >= largest[-1].at]
        return _fit(upper if len(upper) >= _SIZES_FOR_A_FIT else largest[-2:])

    def reaches(self, size: int) -> tuple[float, float, float] | None:
        """Return what the figure would be at a size, and the bounds that the exponent's interval leaves.

        It starts from the largest size measured; None without an exponent.
        """
        fit = self.upper_fit()
        if fit is None:
            return None
        times = size / self.last.at
        low, high = (fit.exponent if bound is None else bound for bound in (fit.low, fit.high))
        powers = (fit.exponent, *sorted((low, high)))
        middle, least, most = (self.last.value * times**power for power in powers)
        return middle, least, most

    def to_dict(self) -> dict[str, Any]:
        """Return what stands in the JSON."""
        fits = {"fit": self.fit(), "upper_fit": self.upper_fit()}
        return {
            "work": self.work,
            "figure": self.figure,
            "by": self.by,
            "unit": self.unit,
            "points": [
                {"at": one.at, "value": _short(one.value), "runs": list(map(_short, one.runs))}
                for one in self.points
            ],
            **{name: fit and fit.to_dict() for name, fit in fits.items()},
        }

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> Self:
        """Read one from the JSON."""
        points = [Point(one["at"], tuple(one["runs"])) for one in told["points"]]
        return cls(told["work"], told["figure"], told["by"], told["unit"], points)


def _fit(points: Sequence[Point]) -> Fit | None:
    """Return the slope of log(run) over log(size)."""
    pairs = [(point.at, run) for point in points for run in point.runs if run > 0]
    if len({at for at, _ in pairs}) < _SIZES_FOR_A_FIT:
        return None
    sizes, runs = np.log(np.array(pairs, dtype=np.float64).T)
    line = stats.linregress(sizes, runs)
    spare = len(pairs) - 2
    since = min(at for at, _ in pairs)
    if not spare:
        return Fit(float(line.slope), None, None, since)
    reach = float(stats.t.ppf((1 + _CONFIDENCE) / 2, spare) * line.stderr)
    return Fit(float(line.slope), float(line.slope) - reach, float(line.slope) + reach, since)


def _short(number: float) -> float:
    """Keep six digits: more were not measured."""
    return float(f"{number:.6g}")
