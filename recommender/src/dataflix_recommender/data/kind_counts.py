"""What one user did with items besides rating and watching them: how many events of which kind."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class KindCounts:
    """What one user did with the n items of a history, by kind and as columns of m entries.

    Attributes:
        places: int64[m], the place of the item in the history, from 0.
        codes: int64[m], the place of the kind in ``names``.
        counts: int64[m], how many events of that kind, at least 1.
        names: The kinds, as ``source.event_kinds`` has them.
    """

    places: NDArray[np.int64]
    codes: NDArray[np.int64]
    counts: NDArray[np.int64]
    names: tuple[str, ...]

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, int]]) -> Self:
        """Build from the counts by kind of each item, in the order of the history."""
        entries = [(place, name, count) for place, kinds in enumerate(rows) for name, count in kinds.items()]
        names = tuple(sorted({name for _, name, _ in entries}))
        columns = np.array(
            [(place, names.index(name), count) for place, name, count in entries], dtype=np.int64
        ).reshape(-1, 3)
        return cls(columns[:, 0], columns[:, 1], columns[:, 2], names)
