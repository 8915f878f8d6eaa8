"""Top-k pruning: which items can be in a user's list, without reading all of their factors (MIPS).

The factors are rotated once, so that their leading dimensions hold as much of all products as they can (the
eigenvectors of Y'Y). For every item the product of the leading dimensions is computed exactly; the product of
the rest is at most the product of two lengths (Cauchy-Schwarz). Only items whose bound reaches the n-th best
score are scored in full. The list is that of the full product: a pruned item cannot be in it.

After FEXIPRO (Li, Chan, Yiu, Mamoulis, SIGMOD 2017) and LEMP (Teflioudi, Gemulla, Mykytiuk, SIGMOD 2015).
"""

from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dataflix_recommender.algorithms.top_k import top_k_masked

# One of so many dimensions leads. CPU time for a list of 10 with 128 factors, of which a half, a quarter, an
# eighth, a sixteenth lead: 663, 528, 478, 577 µs for 20,000 items; 1,302, 940, 821, 861 µs for 60,000.
LEADING_SHARE = 8
# Items scored in full first, for each place of the list: the n-th best of them is the threshold.
PROBES_PER_PLACE = 3
# When more than one item of this many is a candidate, scoring all items is as fast.
MIN_ITEMS_PER_CANDIDATE = 10
# Items rotated at a time: 4 MB in double precision with 128 factors.
BLOCK = 4096
_UNIT_ROUNDOFF = float(np.finfo(np.float32).eps) / 2


class MipsPruner:
    """Rotated factors of one model. It is immutable, so threads may share it."""

    def __init__(
        self,
        leading: NDArray[np.float32],
        rest_lengths: NDArray[np.float32],
        rotation: NDArray[np.float64],
        max_length: float,
    ) -> None:
        """Keep the parts that ``from_factors`` computes.

        Args:
            leading: float32[D, I], the leading dimensions of the rotated factors.
            rest_lengths: float32[I], the length of each item's other dimensions.
            rotation: float64[F, F], eigenvectors as columns, that of the largest eigenvalue first.
            max_length: The length of the longest factors.
        """
        self._leading = leading
        self._rest_lengths = rest_lengths
        self._rotation = rotation
        dimensions, width = len(leading), len(rotation)
        # The most that rounding can move a bound and a score apart, for each unit of the user's length: one
        # rounding per addition, and a few of the terms (Higham 2002, 3.1).
        self._slack = (width + dimensions + 8) * _UNIT_ROUNDOFF * max_length

    @classmethod
    def from_factors(cls, factors: NDArray[np.float32], gram: NDArray[np.float64]) -> Self:
        """Rotate ``factors`` float32[I, F], whose Gram matrix is ``gram`` float64[F, F]."""
        # Contiguous: BLAS would copy a reversed view for each product.
        rotation = np.ascontiguousarray(np.linalg.eigh(gram).eigenvectors[:, ::-1])
        items, width = factors.shape
        dimensions = max(1, width // LEADING_SHARE)
        leading = np.empty((dimensions, items), dtype=np.float32)
        rest_lengths = np.empty(items)
        max_length = 0.0
        for start in range(0, items, BLOCK):
            block = slice(start, start + BLOCK)
            rotated = factors[block].astype(np.float64) @ rotation
            leading[:, block] = rotated[:, :dimensions].T
            rest_lengths[block] = np.linalg.norm(rotated[:, dimensions:], axis=1)
            max_length = max(max_length, float(np.linalg.norm(rotated, axis=1).max()))
        # Rounded up: a bound that is rounded down is no bound.
        return cls(
            leading, (rest_lengths * (1 + 4 * _UNIT_ROUNDOFF)).astype(np.float32), rotation, max_length
        )

    def candidates(
        self,
        user: NDArray[np.float32],
        added: NDArray[np.float32] | None,
        n: int,
        eligible: NDArray[np.bool_],
        score: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    ) -> NDArray[np.int64] | None:
        """Return ascending positions that include the n best eligible items.

        Args:
            user: float32[F], the user's factors.
            added: float32[I], what is added to each product; None adds nothing.
            n: The length of the list.
            eligible: bool[I], which items may be in the list.
            score: Returns the exact scores float32[m] of m positions.

        Returns:
            The positions, or None when they are so many that scoring all items is faster.
        """
        items, dimensions = len(self._rest_lengths), len(self._leading)
        if n * PROBES_PER_PLACE * MIN_ITEMS_PER_CANDIDATE > items:
            return None
        rotated = user @ self._rotation
        bounds = rotated[:dimensions].astype(np.float32) @ self._leading
        slack = 2 * self._slack * float(np.linalg.norm(rotated))
        if added is not None:
            bounds += added
            slack += 8 * _UNIT_ROUNDOFF * float(np.abs(added).max())
        np.copyto(bounds, -np.inf, where=~eligible)
        probes = score(top_k_masked(bounds, n * PROBES_PER_PLACE))
        if len(probes) < n:
            return None
        threshold = float(np.partition(probes, len(probes) - n)[len(probes) - n])
        bounds += self._rest_lengths * np.float32(np.linalg.norm(rotated[dimensions:]))
        found = np.flatnonzero(bounds >= np.float32(threshold - slack))
        return found if len(found) * MIN_ITEMS_PER_CANDIDATE <= items else None
