"""What the ratings of a file mean, in the stars that confidence is defined by.

The mapping is that of a described source (docs/your-own-database.md): a scale from above 0 keeps its meaning,
so 8 of 10 are four stars; other scales are spread over half a star to five. A thumb up is four stars, one
down one and a half.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dataflix_trainer.errors import DataError

MIN_STARS, MAX_STARS = 0.5, 5.0
UP_STARS, DOWN_STARS = 4.0, 1.5
# The values of thumbs: up, and what is below it.
_UP, _DOWNS = 1.0, (0.0, -1.0)
# Tried in this order, from the narrowest on.
_USUAL = ((0.5, 5.0), (0.0, 5.0), (1.0, 10.0), (0.0, 10.0), (-10.0, 10.0), (1.0, 100.0), (0.0, 100.0))
# More values than this off a scale mean another scale; fewer are mistakes in the file.
_MISTAKES = 0.01


@dataclass(frozen=True, slots=True)
class RatingScale:
    """The lowest and the highest rating, or thumbs.

    Raises:
        DataError: there is nothing between the two.
    """

    low: float
    high: float
    is_thumbs: bool = False

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low < self.high):
            raise DataError(f"a scale from {self.low:g} to {self.high:g} has no room for an opinion")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``LOW:HIGH`` or ``thumbs``.

        Raises:
            DataError: the text is neither.
        """
        if text == "thumbs":
            return cls(0, 1, is_thumbs=True)
        low, _, high = text.partition(":")
        try:
            ends = float(low), float(high)
        except ValueError as error:
            raise DataError(f"{text!r} is no scale: write LOW:HIGH, such as 1:10, or thumbs") from error
        return cls(*ends)

    @classmethod
    def recognise(cls, values: NDArray[np.float32]) -> Self:
        """Return the narrowest usual scale that holds nearly all of the values.

        Raises:
            DataError: there is none.
        """
        different = set(np.unique(values).tolist())
        if _UP in different and different - {_UP} and different <= {_UP, *_DOWNS}:
            return cls(0, 1, is_thumbs=True)
        if different == {_UP}:
            raise DataError(
                "every rating is 1, which is no opinion: leave the column out, so that rows count as events, "
                "or name the scale: --scale LOW:HIGH"
            )
        for low, high in _USUAL:
            if np.mean((values < low) | (values > high)) <= _MISTAKES:
                return cls(low, high)
        raise DataError(
            f"ratings from {values.min():g} to {values.max():g} fit no usual scale; name it: --scale LOW:HIGH"
        )

    def __str__(self) -> str:
        return "thumbs" if self.is_thumbs else f"{self.low:g} to {self.high:g}"

    def stars(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the ratings as half stars, float32[n].

        Raises:
            DataError: a rating is off the scale, or not a number.
        """
        if self.is_thumbs:
            off = ~np.isin(values, (_UP, *_DOWNS))
        else:
            off = ~((values >= self.low) & (values <= self.high))
        if off.any():
            raise DataError(
                f"{np.count_nonzero(off)} of {len(values)} ratings are off the scale ({self}), the first is "
                f"{values[off][0]:g}; correct the file or name another scale: --scale LOW:HIGH"
            )
        if self.is_thumbs:
            return np.where(values == _UP, UP_STARS, DOWN_STARS).astype(np.float32)
        exact = values.astype(np.float64)
        if self.low > 0:
            stars = exact * MAX_STARS / self.high
        else:
            stars = MIN_STARS + (exact - self.low) * (MAX_STARS - MIN_STARS) / (self.high - self.low)
        return np.clip(np.round(2 * stars) / 2, MIN_STARS, MAX_STARS).astype(np.float32)
