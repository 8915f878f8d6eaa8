"""The split that every model is judged on: each user's latest events are held out.

A single cut in time for all users would keep other users' later events out of training too, but on data that
came in user by user (MovieLens latest-small: 28 of 610 users have events on both sides of an 80 % cut) it
leaves nobody to measure. So the cut is in each user's own time, and the model is asked for what a person took
next, knowing what they had taken before.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dataflix_trainer.data.interactions import Interactions

# A fifth, as in the 80/20 fold-in protocols of the literature.
HELD_OUT_SHARE = 0.2
# With fewer, less than four events would be left to know a person by.
MIN_EVENTS = 5
# Bounds the time of an evaluation; at 10,000 users the interval of NDCG@10 is about 0.005 wide.
MAX_USERS = 10_000


@dataclass(frozen=True, slots=True)
class Holdout:
    """A split of interactions.

    ``train`` [U, I] holds what may be learnt from, all users. ``users`` int64[E] are the rows that are
    evaluated, ``known`` [E, I] their rows of ``train`` and ``targets`` [E, I] their held-out events with
    positive weight, at least one each. Held-out negative events are in neither.
    """

    train: csr_matrix
    users: NDArray[np.int64]
    known: csr_matrix
    targets: csr_matrix
    item_ids: NDArray[np.int64]


def latest_events(interactions: Interactions, *, seed: int, max_users: int = MAX_USERS) -> Holdout:
    """Hold out the latest fifth of the events of up to ``max_users`` users with MIN_EVENTS or more.

    Users are drawn, and events of one instant ordered, by a hash of ids and ``seed``: later data leave the
    choice as it was, so that what is held out now was held out from an older model, too, or is newer than it.
    With nobody to evaluate (no user has enough events) ``users`` is empty.
    """
    matrix = interactions.matrix
    held_out = _held_out(interactions, seed, max_users)
    train = _subset(matrix, ~held_out)
    targets = _subset(matrix, held_out & (matrix.data > 0))
    users = np.flatnonzero(np.diff(targets.indptr))
    return Holdout(train, users, train[users], targets[users], interactions.item_ids)


def without_latest(interactions: Interactions, *, seed: int, max_users: int = MAX_USERS) -> Interactions:
    """Return what ``latest_events`` leaves to learn from; tuning may look at it, and hold out of it too."""
    kept = ~_held_out(interactions, seed, max_users)
    return Interactions(
        interactions.user_ids,
        interactions.item_ids,
        _subset(interactions.matrix, kept),
        interactions.times[kept],
    )


def _held_out(interactions: Interactions, seed: int, max_users: int) -> NDArray[np.bool_]:
    """Return bool[nnz]: which entries of the matrix are held out."""
    matrix = interactions.matrix
    counts = np.diff(matrix.indptr)
    drawn = np.flatnonzero(_draw_users(interactions.user_ids, counts, seed, max_users))
    # Of the drawn alone: they may be few among many.
    theirs = counts[drawn]
    rows = np.repeat(np.arange(len(drawn)), theirs)
    firsts = np.cumsum(theirs) - theirs
    place = np.arange(len(rows)) - firsts[rows]
    entries = matrix.indptr[drawn][rows] + place

    movie_ids = interactions.item_ids[matrix.indices[entries]].astype(np.uint64)
    users = _mix(interactions.user_ids[drawn].astype(np.uint64) + np.uint64(seed))
    ties = _mix(users[rows] + movie_ids)
    # By user, then time: what stands at a place of a user's own stays within that user.
    order = np.lexsort((ties, interactions.times[entries], rows))
    held_out = np.zeros(matrix.nnz, dtype=np.bool_)
    held_out[entries[order[place >= (theirs - _held_out_of(theirs))[rows]]]] = True
    return held_out


def _draw_users(
    user_ids: NDArray[np.int64], counts: NDArray[np.int64], seed: int, max_users: int
) -> NDArray[np.bool_]:
    """Return bool[U]: the users with enough events that come first in the order of their hash."""
    able = np.flatnonzero(counts >= MIN_EVENTS)
    order = np.argsort(_mix(user_ids[able].astype(np.uint64) + np.uint64(seed)), kind="stable")
    drawn = np.zeros(len(user_ids), dtype=np.bool_)
    drawn[able[order[:max_users]]] = True
    return drawn


def _held_out_of(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(np.floor(counts * HELD_OUT_SHARE), dtype=np.int64)


def _subset(matrix: csr_matrix, chosen: NDArray[np.bool_]) -> csr_matrix:
    """Return the stored entries that are chosen, in the same shape."""
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
