"""Factors for items that nobody has rated or bought yet, from their categories and attributes.

A ridge regression learns from the items with events how factors follow from features, and gives the others
theirs (Gantner and others, "Learning Attribute-to-Feature Mappings for Cold-Start Recommendations", 2010).
They are as long as makes their scores from a history those of an average item like them: new items have no
item-item weights, and factors of items with few events are short.

Serving needs nothing else: the factors are in the artifact, so lists, reasons, similar items and the
evaluation treat a new item as any other.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags_array

from dataflix_recommender import event_values
from dataflix_trainer.model.fit import FittedModel

# docs/evaluation.md ("New items") has the measurements behind these.
RIDGE = 10.0
# An item with so many events counts half as much as one with very many: factors of few events are noise.
HALF_TRUST_EVENTS = 10.0
# Users whose scores say how long factors of new items must be; more change the length by less than 1 %.
CALIBRATION_USERS = 512
# Scored at a time: with 60,000 items, 15 MB.
USERS_PER_BLOCK = 64


def factors_with_new_items(fitted: FittedModel, features: csr_matrix) -> NDArray[np.float32]:
    """Return the item factors of a fit, float32[I, F], with those of items without an event filled in.

    Args:
        fitted: both parts of a model.
        features: float64[I, D]; an item without features keeps its zeros.
    """
    factors = fitted.factors.items
    events = np.bincount(fitted.matrix.indices, minlength=len(factors))
    # An item with events whose factors are zero is one that nobody likes, and not new.
    new = (events == 0) & (np.diff(features.indptr) > 0)
    if not new.any():
        return factors
    placed = features @ _mapping(factors, events, features)
    filled = factors.copy()
    filled[new] = _length(fitted, placed, events > 0) * placed[new]
    return filled


def _mapping(
    factors: NDArray[np.float32], events: NDArray[np.int64], features: csr_matrix
) -> NDArray[np.float64]:
    """Return float64[D, F]: the factors that each feature stands for."""
    weighed = diags_array(events / (events + HALF_TRUST_EVENTS)) @ features
    system = (features.T @ weighed).toarray()
    system[np.diag_indices_from(system)] += RIDGE
    mapping: NDArray[np.float64] = np.linalg.solve(system, weighed.T @ factors.astype(np.float64))
    return mapping


def _length(fitted: FittedModel, placed: NDArray[np.float64], known: NDArray[np.bool_]) -> float:
    """Return what the placed factors of known items are multiplied by to come nearest to their scores.

    Least squares over items that a user has not seen; never negative.

    Args:
        fitted: gives the scores.
        placed: float64[I, F], factors from features.
        known: bool[I], the items with events.
    """
    weights = fitted.item_item_weights
    likes = np.flatnonzero(np.diff(fitted.matrix.indptr))
    sample = likes[:: max(1, len(likes) // CALIBRATION_USERS)]
    products = squares = 0.0
    for start in range(0, len(sample), USERS_PER_BLOCK):
        users = sample[start : start + USERS_PER_BLOCK]
        seen = fitted.matrix[users]
        folded = fitted.factors.users[users].astype(np.float64)
        values = csr_matrix((event_values(seen.data, weights.slope), seen.indices, seen.indptr), seen.shape)
        scores = folded @ fitted.factors.items.T + (values @ weights.matrix).toarray()
        ours = folded @ placed.T
        ours[:, ~known] = 0
        ours[np.repeat(np.arange(len(users)), np.diff(seen.indptr)), seen.indices] = 0
        products += float(np.sum(ours * scores))
        squares += float(np.sum(ours * ours))
    return max(0.0, products / squares) if squares else 0.0
