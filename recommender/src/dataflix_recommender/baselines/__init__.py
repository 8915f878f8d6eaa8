"""Models that ours has to beat. They learn from a matrix [U, I] in which each stored entry is an event.

Each has ``scores(known)``: float32[U, I] for the rows of ``known`` [U, I], seen items included. The result is
dense, so callers should pass only as many rows at a time as fit into memory.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dataflix_recommender.baselines.ease import Ease
from dataflix_recommender.baselines.item_knn import ItemKNN
from dataflix_recommender.baselines.popular import popular, recent


class Scorer(Protocol):
    """A model that scores all items for users, given the items that they took."""

    def scores(self, known: csr_matrix, last_at: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Return float32[U, I] for the rows of ``known`` [U, I].

        ``last_at`` has the time of each user's latest event, for models that know time.
        """
        ...


__all__ = ["Ease", "ItemKNN", "Scorer", "popular", "recent"]
