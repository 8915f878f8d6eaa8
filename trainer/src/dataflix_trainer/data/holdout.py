"""The split that every model is evaluated on: each user's latest events are held out.

One cut in time for all users would also keep the later events of other users out of training. But on data
that came in user by user it leaves almost nobody to measure: in MovieLens latest-small 28 of 610 users have
events on both sides of an 80 % cut. So each user has a cut of their own, and the model is asked for what the
user took next.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dataflix_trainer.data.interactions import Interactions

# A fifth, as in the 80/20 fold-in protocols of the literature.
HELD_OUT_SHARE = 0.2
# With fewer, less than four events would be left to fold a user in from.
MIN_EVENTS = 5
# Limits the time of an evaluation. At 10,000 users the interval of NDCG@10 is about 0.005 wide.
MAX_USERS = 10_000
# Of the split, not of a fit: all versions are evaluated on the same one.
HOLDOUT_SEED = 20250101


@dataclass(frozen=True, slots=True)
class Holdout:
    """A split of interactions.

    Attributes:
        train: float32[U, I], the events of all users to train on.
        users: int64[E], the rows that are evaluated.
        known: float32[E, I], their rows of ``train``.
        targets: float32[E, I], their held-out events with positive weight, at least one each. Held-out
            events with negative weight are in neither matrix.
        item_ids: int64[I].
        times: int64[nnz], microseconds since 1970 of the entries of ``train``.
    """

    train: csr_matrix
    users: NDArray[np.int64]
    known: csr_matrix
    targets: csr_matrix
    item_ids: NDArray[np.int64]
    times: NDArray[np.int64]


def latest_events(interactions: Interactions, *, seed: int, max_users: int = MAX_USERS) -> Holdout:
    """Hold out the latest fifth of the events of up to ``max_users`` users with MIN_EVENTS or more.

    A hash of ids and ``seed`` draws the users and orders events of the same instant. Later data do not change
    that choice, so what is held out now was also held out from an older model, or is newer than the model.
    When no user has enough events, ``users`` is empty.
    """
    matrix = interactions.matrix
    held_out = _held_out(interactions, seed, max_users)
    train = _subset(matrix, ~held_out)
    targets = _subset(matrix, held_out & (matrix.data > 0))
    users = np.flatnonzero(np.diff(targets.indptr))
    times = interactions.times[~held_out]
    return Holdout(train, users, train[users], targets[users], interactions.item_ids, times)


def without_latest(interactions: Interactions, *, seed: int, max_users: int = MAX_USERS) -> Interactions:
    """Return what ``latest_events`` leaves to train on. Tuning may hold events out of it again."""
    kept = ~_held_out(interactions, seed, max_users)
    return Interactions(
        interactions.user_ids,
        interactions.item_ids,
        _subset(interactions.matrix, kept),
        interactions.times[kept],
    )


def _held_out(interactions: Interactions, seed: int, max_users: int) -> NDArray[np.bool_]:
    """Return bool[nnz], which entries of the matrix are held out."""
    matrix = interactions.matrix
    counts = np.diff(matrix.indptr)
    drawn = np.flatnonzero(_draw_users(interactions.user_ids, counts, seed, max_users))
    # Only for the drawn users, who may be few among many.
    sizes = counts[drawn]
    rows = np.repeat(np.arange(len(drawn)), sizes)
    firsts = np.cumsum(sizes) - sizes
    position = np.arange(len(rows)) - firsts[rows]
    entries = matrix.indptr[drawn][rows] + position

    item_ids = interactions.item_ids[matrix.indices[entries]].astype(np.uint64)
    users = _mix(interactions.user_ids[drawn].astype(np.uint64) + np.uint64(seed))
    ties = _mix(users[rows] + item_ids)
    # By user, then time, so each user's positions stay within that user.
    order = np.lexsort((ties, interactions.times[entries], rows))
    held_out = np.zeros(matrix.nnz, dtype=np.bool_)
    held_out[entries[order[position >= (sizes - _held_out_count(sizes))[rows]]]] = True
    return held_out


def _draw_users(
    user_ids: NDArray[np.int64], counts: NDArray[np.int64], seed: int, max_users: int
) -> NDArray[np.bool_]:
    """Return bool[U], the users with enough events that come first in the order of their hash."""
    eligible = np.flatnonzero(counts >= MIN_EVENTS)
    order = np.argsort(_mix(user_ids[eligible].astype(np.uint64) + np.uint64(seed)), kind="stable")
    drawn = np.zeros(len(user_ids), dtype=np.bool_)
    drawn[eligible[order[:max_users]]] = True
    return drawn


def _held_out_count(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(np.floor(counts * HELD_OUT_SHARE), dtype=np.int64)


def _subset(matrix: csr_matrix, chosen: NDArray[np.bool_]) -> csr_matrix:
    """Return the chosen entries in a matrix of the same shape."""
    before = np.concatenate(([0], np.cumsum(chosen)))
    return csr_matrix(
        (matrix.data[chosen], matrix.indices[chosen], before[matrix.indptr]), shape=matrix.shape
    )


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a well-mixed 64-bit hash of each value (the finaliser of SplitMix64)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
