"""How a figure grows with the size of the data: points, and the exponent of a power law through them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Self

import numpy as np
from scipy import stats

# Fixed costs, such as the start of a program, flatten a curve where data are small. So extrapolation uses the
# sizes of the last decade only.
UPPER = 10
_CONFIDENCE = 0.95
_SIZES_FOR_A_FIT = 2


@dataclass(frozen=True, slots=True)
class Point:
    """The result of each run at one size, ``at``."""

    at: int
    runs: tuple[float, ...]

    @property
    def value(self) -> float:
        """The median."""
        return median(self.runs)


@dataclass(frozen=True, slots=True)
class Fit:
    """A power law: figures grow as size ** ``exponent``. Least squares over the logarithms of all runs.

    Attributes:
        exponent: The slope.
        low: Lower bound of its 95 % interval, None with only two runs.
        high: Upper bound, None with only two runs.
        since: The smallest size that was fitted.
    """

    exponent: float
    low: float | None
    high: float | None
    since: int

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        low, high = (None if bound is None else round(bound, 4) for bound in (self.low, self.high))
        return {"exponent": round(self.exponent, 4), "low": low, "high": high, "since": self.since}

    def __str__(self) -> str:
        """Return the exponent with its interval."""
        if self.low is None or self.high is None:
            return f"{self.exponent:.2f}"
        return f"{self.exponent:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(slots=True)
class Curve:
    """One figure of one step at growing sizes.

    Attributes:
        work: The name of the step.
        figure: What was measured.
        by: What grows: ratings or movies.
        unit: The unit of the figure.
        points: What was measured at each size.
    """

    work: str
    figure: str
    by: str
    unit: str
    points: list[Point] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Step and figure."""
        return f"{self.work}: {self.figure}"

    @property
    def last(self) -> Point:
        """The point of the largest size."""
        return max(self.points, key=lambda point: point.at)

    def fit(self) -> Fit | None:
        """Return the exponent over all sizes; None with fewer than two."""
        return _fit(self.points)

    def upper_fit(self) -> Fit | None:
        """Return the exponent over the last decade of sizes, or over the two largest."""
        largest = sorted(self.points, key=lambda point: point.at)
        upper = [point for point in largest if point.at * UPPER >= largest[-1].at]
        return _fit(upper if len(upper) >= _SIZES_FOR_A_FIT else largest[-2:])

    def extrapolate(self, size: int) -> tuple[float, float, float] | None:
        """Return (value, low, high): the figure at ``size``, starting from the largest size measured.

        The bounds follow from the interval of the exponent. None when there is no exponent.
        """
        fit = self.upper_fit()
        if fit is None:
            return None
        growth = size / self.last.at
        low, high = (fit.exponent if bound is None else bound for bound in (fit.low, fit.high))
        powers = (fit.exponent, *sorted((low, high)))
        middle, least, most = (self.last.value * growth**power for power in powers)
        return middle, least, most

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        fits = {"fit": self.fit(), "upper_fit": self.upper_fit()}
        return {
            "work": self.work,
            "figure": self.figure,
            "by": self.by,
            "unit": self.unit,
            "points": [
                {"at": one.at, "value": _rounded(one.value), "runs": list(map(_rounded, one.runs))}
                for one in self.points
            ],
            **{name: fit and fit.to_dict() for name, fit in fits.items()},
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read the JSON form."""
        points = [Point(one["at"], tuple(one["runs"])) for one in values["points"]]
        return cls(values["work"], values["figure"], values["by"], values["unit"], points)


def _fit(points: Sequence[Point]) -> Fit | None:
    """Return the slope of log(run) over log(size)."""
    pairs = [(point.at, run) for point in points for run in point.runs if run > 0]
    if len({at for at, _ in pairs}) < _SIZES_FOR_A_FIT:
        return None
    sizes, runs = np.log(np.array(pairs, dtype=np.float64).T)
    line = stats.linregress(sizes, runs)
    degrees_of_freedom = len(pairs) - 2
    since = min(at for at, _ in pairs)
    if not degrees_of_freedom:
        return Fit(float(line.slope), None, None, since)
    margin = float(stats.t.ppf((1 + _CONFIDENCE) / 2, degrees_of_freedom) * line.stderr)
    return Fit(float(line.slope), float(line.slope) - margin, float(line.slope) + margin, since)


def _rounded(number: float) -> float:
    """Keep six digits: measurements are not more exact."""
    return float(f"{number:.6g}")
