"""Which films can be among the best for a user at all, told without reading all of their factors.

The factors are turned once so that their leading dimensions hold as much of all products as they can (the
eigenvectors of Y'Y). A user's product with the leading ones is read for every film; that with the rest is at
most the product of two lengths (Cauchy-Schwarz). Only films whose bound reaches the n-th best are scored in
full. After FEXIPRO (Li, Chan, Yiu, Mamoulis, SIGMOD 2017) and LEMP (Teflioudi, Gemulla, Mykytiuk, SIGMOD
2015). What is left out cannot be in the list: it is that of the full product.
"""

from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dataflix_recommender.ranking import highest

# CPU time for a list of 10 by 128 fitted dimensions, of which a half, a quarter, an eighth, a sixteenth lead:
# 663, 528, 478 and 577 µs with 20,000 films; 1,302, 940, 821 and 861 µs with 60,000.
LEADING_SHARE = 8
# Films scored in full first, for each place of the list: bounds are held against the n-th best of these.
PROBES = 3
# With more films than one of this many, gathering their factors takes as long as multiplying all.
FEW = 10
# Films turned at a time: 4 MB in double precision with 128 factors.
BLOCK = 4096
_UNIT = float(np.finfo(np.float32).eps) / 2


class Leading:
    """``leading`` float32[D, I] of turned factors, ``rest`` float32[I] the length of what is not in them.

    ``turn`` float64[F, F] has the eigenvectors, the one of the largest eigenvalue first; ``longest`` is the
    length of the longest factors.
    """

    def __init__(
        self,
        leading: NDArray[np.float32],
        rest: NDArray[np.float32],
        turn: NDArray[np.float64],
        longest: float,
    ) -> None:
        self._leading = leading
        self._rest = rest
        self._turn = turn
        dimensions, width = len(leading), len(turn)
        # By how much roundings can move a bound and a score against each other, for each unit of the user's
        # length: so many additions, and a few roundings of what is added (Higham 2002, 3.1).
        self._slack = (width + dimensions + 8) * _UNIT * longest

    @classmethod
    def of(cls, factors: NDArray[np.float32], gram: NDArray[np.float64]) -> Self:
        """Turn ``factors`` float32[I, F], whose Gram matrix is ``gram`` float64[F, F]."""
        # Laid out anew: BLAS would copy a reversed one for each product.
        turn = np.ascontiguousarray(np.linalg.eigh(gram).eigenvectors[:, ::-1])
        items, width = factors.shape
        dimensions = max(1, width // LEADING_SHARE)
        leading = np.empty((dimensions, items), dtype=np.float32)
        rest = np.empty(items)
        longest = 0.0
        for start in range(0, items, BLOCK):
            films = slice(start, start + BLOCK)
            turned = factors[films].astype(np.float64) @ turn
            leading[:, films] = turned[:, :dimensions].T
            rest[films] = np.linalg.norm(turned[:, dimensions:], axis=1)
            longest = max(longest, float(np.linalg.norm(turned, axis=1).max()))
        # A bound that is rounded down would be none.
        return cls(leading, (rest * (1 + 4 * _UNIT)).astype(np.float32), turn, longest)

    def candidates(
        self,
        user: NDArray[np.float32],
        added: NDArray[np.float32] | None,
        n: int,
        eligible: NDArray[np.bool_],
        exact: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    ) -> NDArray[np.int64] | None:
        """Return positions, ascending, with the n best of the ``eligible`` bool[I] films among them.

        None when they are so many that scoring all is faster. ``user`` float32[F]; ``added`` float32[I] is
        what is added to each product; ``exact`` returns the scores float32[k] of k positions.
        """
        items, dimensions = len(self._rest), len(self._leading)
        if n * PROBES * FEW > items:
            return None
        turned = user @ self._turn
        near = turned[:dimensions].astype(np.float32) @ self._leading
        slack = 2 * self._slack * float(np.linalg.norm(turned))
        if added is not None:
            near += added
            slack += 8 * _UNIT * float(np.abs(added).max())
        np.copyto(near, -np.inf, where=~eligible)
        probed = exact(highest(near, n * PROBES))
        if len(probed) < n:
            return None
        threshold = float(np.partition(probed, len(probed) - n)[len(probed) - n])
        near += self._rest * np.float32(np.linalg.norm(turned[dimensions:]))
        found = np.flatnonzero(near >= np.float32(threshold - slack))
        return found if len(found) * FEW <= items else None
