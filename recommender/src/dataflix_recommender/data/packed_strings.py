"""A column of strings as flat arrays, which an artifact can hold without pickling."""

from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray


def offsets_of(lengths: Iterable[int]) -> NDArray[np.int64]:
    """Return int64[n + 1]: entry ``i`` starts at ``[i]`` and ends at ``[i + 1]``."""
    return np.concatenate(([0], np.cumsum(np.fromiter(lengths, dtype=np.int64)))).astype(np.int64)


class PackedStrings:
    """A read-only column of strings: one array of UTF-8 bytes and int64 offsets, decoded on access."""

    def __init__(self, data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
        self.data = data
        self.offsets = offsets
        # One list of recommendations reads forty titles; memoryviews return single items faster than arrays.
        self._text = data.data
        self._places = offsets.data

    @classmethod
    def from_strings(cls, strings: Sequence[str]) -> Self:
        """Pack ``strings`` in their order."""
        encoded = [text.encode() for text in strings]
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets_of(map(len, encoded)))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < len(self):
            raise IndexError(f"no string at {index}: there are {len(self)}")
        return str(self._text[self._places[index] : self._places[index + 1]], "utf-8")
