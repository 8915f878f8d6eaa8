"""How ratings are split into what may be learnt, what is tuned on, and what is measured once.

Common to all: ratings become events (the stars stay known as a weight), the catalogue is whole, what a user
is known to have taken is masked, and nothing is sampled from the candidates.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dataflix_recommender import ConfidenceWeights
from dataflix_trainer.data.ratings import Ratings
from dataflix_trainer.errors import DataError

# Strong generalisation and the temporal cut: a rating of 4 or more is liking (Liang et al. 2018).
LIKED = 4.0
MIN_EVENTS_STRONG = 5
# RecBole's setting for MovieLens: 3 and more is a positive, and users and items with ten events stay.
LIKED_RANDOM = 3.0
CORE = 10
FOLD_IN_SHARE = 0.8
# Of the users, in each of validation and test. On data of a size whose results are published MAX_USERS binds;
# a tenth of some hundred users would leave intervals wider than any difference between models.
HELD_OUT_USERS = 0.2
VALIDATION, TEST = 1, 2
# Of the events in time: train, validation, test.
CUTS = (0.8, 0.9)
# Users that are scored for one figure; more narrow no interval that matters, and cost minutes each.
MAX_USERS = 10_000
# Fewer leave an interval wider than any difference between models.
MIN_USERS = 10


@dataclass(frozen=True, slots=True)
class Part:
    """One question and its answer: learn from ``train``, know ``known``, find ``targets``.

    ``train`` [U, I] holds confidence weights, and ``times`` int64[nnz] the microseconds of its entries. For
    E evaluated users ``known`` [E, I] are the weights that they are folded in from, ``seen`` [E, I] what no
    list may hold (``known`` and more), ``targets`` [E, I] what they took next, at least one each.
    """

    train: csr_matrix
    times: NDArray[np.int64]
    known: csr_matrix
    seen: csr_matrix
    targets: csr_matrix

    def sampled(self, users: int, *, seed: int) -> "Part":
        """Return the question about ``users`` of the evaluated users, drawn at random; itself if fewer."""
        if self.targets.shape[0] <= users:
            return self
        rows = np.sort(np.random.default_rng(seed).choice(self.targets.shape[0], users, replace=False))
        return replace(self, known=self.known[rows], seen=self.seen[rows], targets=self.targets[rows])

    def counts(self) -> dict[str, int]:
        """Return how many users and events it speaks of."""
        return {
            "train_users": int(np.count_nonzero(np.diff(self.train.indptr))),
            "train_events": int(self.train.nnz),
            "evaluated_users": int(self.targets.shape[0]),
            "known_events": int(self.known.nnz),
            "target_events": int(self.targets.nnz),
        }


@dataclass(frozen=True, slots=True)
class Split:
    """A protocol's two parts; ``facts`` are its own counts, and what is worth saying of it."""

    validation: Part
    test: Part
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Events:
    """Ratings with their weights; makes matrices of chosen ones."""

    ratings: Ratings
    weights: NDArray[np.float32]

    @classmethod
    def of(cls, ratings: Ratings) -> "_Events":
        stars = ratings.stars
        return cls(ratings, ConfidenceWeights.default().weigh(stars, np.zeros(len(stars), dtype=np.int64)))

    def matrix(self, chosen: NDArray[np.bool_]) -> csr_matrix:
        rows = self.ratings.users[chosen]
        offsets = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=self.ratings.shape[0]))))
        # Ratings are ordered by user and item: so are the entries, and so stay their times.
        data = (self.weights[chosen], self.ratings.items[chosen], offsets)
        return csr_matrix(data, shape=self.ratings.shape)

    def part(
        self,
        train: NDArray[np.bool_],
        known: NDArray[np.bool_],
        targets: NDArray[np.bool_],
        generator: np.random.Generator,
        *,
        seen: NDArray[np.bool_] | None = None,
    ) -> Part:
        """Build a Part of the users that have a known event and a target; raises DataError for too few."""
        known_matrix, target_matrix = self.matrix(known), self.matrix(targets)
        able = np.flatnonzero((np.diff(known_matrix.indptr) > 0) & (np.diff(target_matrix.indptr) > 0))
        if len(able) < MIN_USERS:
            raise DataError(
                f"only {len(able)} users of {self.ratings.facts.get('source')} can be evaluated by this "
                f"protocol, at least {MIN_USERS} are needed: use more data or another protocol"
            )
        if len(able) > MAX_USERS:
            able = np.sort(generator.choice(able, MAX_USERS, replace=False))
        targets_of = target_matrix[able]
        targets_of.data[:] = 1
        known_of = known_matrix[able]
        seen_of = known_of if seen is None else self.matrix(seen)[able]
        return Part(self.matrix(train), self.ratings.times[train], known_of, seen_of, targets_of)


def temporal(ratings: Ratings, *, seed: int) -> Split:
    """Split at two moments: nothing later than a cut is learnt (Ji et al. 2023, Meng et al. 2020).

    Ratings of 4 and more are the events; the cuts leave 80 % of them, then 90 %, in the past. For the test
    the models learn all before the second cut, as one would before going live. A user with a past is known
    by it; one who is new after the cut is folded in from the first 80 % of what they took since, and asked
    for the rest. Both are counted.
    """
    events = _Events.of(ratings.chosen(ratings.stars >= LIKED))
    times = events.ratings.times
    generator = np.random.default_rng(seed)
    first, second = (float(np.quantile(times, cut)) for cut in CUTS)
    validation, validation_counts = _after(events, first, second, generator)
    test, test_counts = _after(events, second, np.inf, generator)
    return Split(validation, test, {"validation": validation_counts, "test": test_counts})


def _after(
    events: _Events, start: float, end: float, generator: np.random.Generator
) -> tuple[Part, dict[str, int]]:
    users, times = events.ratings.users, events.ratings.times
    past, window = times < start, (times >= start) & (times < end)
    counts = np.bincount(users, minlength=events.ratings.shape[0])
    has_past = np.bincount(users[past], minlength=len(counts)) > 0
    is_new = window & ~has_past[users]
    early = is_new & (_place(users, times, is_new) < _share(users, is_new, FOLD_IN_SHARE))
    known = past | early
    part = events.part(past, known, window & ~early, generator)
    in_window = np.bincount(users[window], minlength=len(counts)) > 0
    return part, {
        "users_with_past": int(np.count_nonzero(in_window & has_past)),
        "users_folded_in": int(np.count_nonzero(in_window & ~has_past)),
    }


def strong(ratings: Ratings, *, seed: int) -> Split:
    """Hold out whole users (Liang et al., Mult-VAE, 2018; Rendle et al., iALS, 2021).

    Ratings of 4 and more are the events, of users with at least five. A fifth of the users each, 10,000 at
    most, are for validation and for test; the models learn from all others alone, also for the test. A
    held-out user is known by 80 % of their events, drawn at random, and asked for the rest.
    """
    liked = ratings.chosen(ratings.stars >= LIKED)
    enough = np.bincount(liked.users) >= MIN_EVENTS_STRONG
    events = _Events.of(liked.chosen(enough[liked.users]))
    users, items = events.ratings.users, events.ratings.items
    generator = np.random.default_rng(seed)
    order = generator.permutation(events.ratings.shape[0])
    held_out = min(MAX_USERS, int(len(order) * HELD_OUT_USERS))
    group = np.zeros(len(order), dtype=np.int8)
    group[order[:held_out]], group[order[held_out : 2 * held_out]] = VALIDATION, TEST
    of_user = group[users]
    train = of_user == 0
    # An item that no training user took cannot be learnt; as in the source, it leaves the catalogue.
    kept = (np.bincount(items[train], minlength=events.ratings.shape[1]) > 0)[items]
    place = _place(users, generator.random(len(users)), kept)
    fold_in = place < _share(users, kept, FOLD_IN_SHARE)

    def part(number: int) -> Part:
        asked = kept & (of_user == number)
        return events.part(train, asked & fold_in, asked & ~fold_in, generator)

    return Split(part(VALIDATION), part(TEST), {"held_out_users": held_out})


def random(ratings: Ratings, *, seed: int) -> Split:
    """Hold out a random tenth of each user's events twice (RecBole's setting, Zhao et al. 2021).

    Ratings of 3 and more are the events; users and items with fewer than ten are dropped until none is left.
    Each user's events are split 80/10/10. Models learn from the 80 % alone, also for the test; what was held
    out for validation is masked in the test.
    """
    events = _Events.of(core(ratings.chosen(ratings.stars >= LIKED_RANDOM), CORE))
    users = events.ratings.users
    generator = np.random.default_rng(seed)
    counts = np.bincount(users)
    place = _place(users, generator.random(len(users)), np.ones(len(users), dtype=np.bool_))
    held_out = np.maximum(1, counts // 10)
    in_test = place < held_out[users]
    in_validation = ~in_test & (place < 2 * held_out[users])
    train = ~in_test & ~in_validation
    return Split(
        events.part(train, train, in_validation, generator),
        events.part(train, train, in_test, generator, seen=~in_test),
        {"core": CORE},
    )


def core(ratings: Ratings, k: int) -> Ratings:
    """Drop users and items with fewer than ``k`` ratings until none is left; raises DataError for nobody."""
    while True:
        users, items = np.bincount(ratings.users), np.bincount(ratings.items)
        kept = (users >= k)[ratings.users] & (items >= k)[ratings.items]
        if kept.all():
            return ratings
        ratings = ratings.chosen(kept)


PROTOCOLS: dict[str, Callable[..., Split]] = {"temporal": temporal, "strong": strong, "random": random}


def _place(users: NDArray[np.int32], keys: NDArray[Any], chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return int64[n]: the place of each chosen event, from 0, among its user's, in the order of keys."""
    rows = np.flatnonzero(chosen)
    order = rows[np.lexsort((keys[rows], users[rows]))]
    sizes = np.bincount(users[rows], minlength=int(users.max()) + 1)
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    place = np.zeros(len(users), dtype=np.int64)
    place[order] = np.arange(len(order)) - starts[users[order]]
    return place


def _share(users: NDArray[np.int32], chosen: NDArray[np.bool_], share: float) -> NDArray[np.float64]:
    """Return float64[n]: for each event, ``share`` of its user's chosen events, rounded down."""
    sizes = np.bincount(users[chosen], minlength=int(users.max()) + 1)
    return np.asarray(np.floor(share * sizes)[users], dtype=np.float64)
