"""What a model has to beat, as pure maths over a matrix [U, I] in which every stored entry is an event.

Each has ``scores(known)``: float32[U, I] for the rows of ``known`` [U, I], seen items included. The result is
dense, so callers hand over as many rows at a time as they have memory for.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dataflix_recommender.baselines.ease import Ease
from dataflix_recommender.baselines.item_knn import ItemKNN
from dataflix_recommender.baselines.popular import popular, recent


class Scorer(Protocol):
    """Anything that scores the whole catalogue for users given by what they took."""

    def scores(self, known: csr_matrix) -> NDArray[np.float32]:
        """Return float32[U, I] for the rows of ``known`` [U, I]."""
        ...


__all__ = ["Ease", "ItemKNN", "Scorer", "popular", "recent"]
