"""How ratings are split into training, validation and test data.

All protocols have in common: ratings become events whose stars remain as weights (what was done without an
opinion is an event as well), the whole catalogue is
ranked, items that a user is known to have taken are masked, and no candidate items are sampled.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dataflix_trainer.data.interactions import latest_times
from dataflix_trainer.data.ratings import Ratings
from dataflix_trainer.errors import DataError
from dataflix_trainer.evaluation.options import Protocol

# Strong generalization and the temporal cut: a rating of 4 or more counts as liked (Liang et al. 2018).
LIKED = 4.0
MIN_EVENTS_STRONG = 5
# RecBole's setting for MovieLens: a rating of 3 or more is positive, and users and items need ten events.
LIKED_RANDOM = 3.0
CORE = 10
FOLD_IN_SHARE = 0.8
# Of the users, in validation and test each. Papers hold out a tenth; of some hundred users that would leave
# intervals wider than any difference between models.
HELD_OUT_USERS = 0.2
VALIDATION, TEST = 1, 2
# Shares of the events, in time, before each window of validation and of test. A window ends where the next
# begins. Several, because people and catalogues change: what was best for one month may not be for the next.
VALIDATION_CUTS = (0.5, 0.6)
TEST_CUTS = (0.7, 0.8, 0.9)
# Users that are evaluated. More would narrow no interval that matters, and cost minutes.
MAX_USERS = 10_000
# Fewer users leave intervals wider than any difference between models.
MIN_USERS = 10


@dataclass(frozen=True, slots=True)
class EvalSplit:
    """What a model is fitted on, and what it is asked about E evaluated users.

    Attributes:
        train: float32[U, I], confidence weights to fit on.
        times: int64[nnz], microseconds since 1970 of the entries of ``train``.
        users: int64[E], who is evaluated, by the rows of ``train``.
        is_new: bool[E], whether nothing of the user is in ``train``.
        known: float32[E, I], the weights that the evaluated users are folded in from.
        seen: float32[E, I], what their lists may not hold: ``known`` and more.
        targets: [E, I], the held-out items to find, at least one per user.
        last_at: int64[E], microseconds since 1970 of the latest event in ``known``.
    """

    train: csr_matrix
    times: NDArray[np.int64]
    users: NDArray[np.int64]
    is_new: NDArray[np.bool_]
    known: csr_matrix
    seen: csr_matrix
    targets: csr_matrix
    last_at: NDArray[np.int64]

    def sampled(self, users: int, *, seed: int) -> "EvalSplit":
        """Return the split with ``users`` of the evaluated users, drawn at random; itself if it has fewer."""
        if self.targets.shape[0] <= users:
            return self
        rows = np.sort(np.random.default_rng(seed).choice(self.targets.shape[0], users, replace=False))
        return replace(
            self,
            users=self.users[rows],
            is_new=self.is_new[rows],
            known=self.known[rows],
            seen=self.seen[rows],
            targets=self.targets[rows],
            last_at=self.last_at[rows],
        )


@dataclass(frozen=True, slots=True)
class RatingsSplit:
    """The validation and test splits of a protocol, and ``facts`` about them for reports.

    Each has one part, or one for each window of time.
    """

    validation: Sequence[EvalSplit]
    test: Sequence[EvalSplit]
    facts: dict[str, Any]


def counts_of(splits: Sequence[EvalSplit]) -> dict[str, int]:
    """Return the numbers of users and events; the training part is the last and largest one."""
    train = splits[-1].train
    return {
        "cuts": len(splits),
        "train_users": int(np.count_nonzero(np.diff(train.indptr))),
        "train_events": int(train.nnz),
        "evaluated_users": len(np.unique(np.concatenate([split.users for split in splits]))),
        "known_events": sum(int(split.known.nnz) for split in splits),
        "target_events": sum(int(split.targets.nnz) for split in splits),
    }


@dataclass(frozen=True, slots=True)
class _Events:
    """Ratings, and matrices of chosen ones."""

    ratings: Ratings

    def matrix(self, chosen: NDArray[np.bool_]) -> csr_matrix:
        rows = self.ratings.users[chosen]
        offsets = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=self.ratings.shape[0]))))
        # Ratings are sorted by user and item, so entries and times are in the same order.
        data = (self.ratings.weights[chosen], self.ratings.items[chosen], offsets)
        return csr_matrix(data, shape=self.ratings.shape)

    def split(
        self,
        train: NDArray[np.bool_],
        known: NDArray[np.bool_],
        targets: NDArray[np.bool_],
        generator: np.random.Generator,
        *,
        seen: NDArray[np.bool_] | None = None,
    ) -> EvalSplit:
        """Build a split that evaluates users with a known event and a target, MAX_USERS at most."""
        known_matrix, target_matrix = self.matrix(known), self.matrix(targets)
        eligible = np.flatnonzero((np.diff(known_matrix.indptr) > 0) & (np.diff(target_matrix.indptr) > 0))
        if len(eligible) > MAX_USERS:
            eligible = np.sort(generator.choice(eligible, MAX_USERS, replace=False))
        targets_of = target_matrix[eligible]
        targets_of.data[:] = 1
        known_of = known_matrix[eligible]
        learnt = self.matrix(train)
        return EvalSplit(
            learnt,
            self.ratings.times[train],
            eligible,
            np.diff(learnt.indptr)[eligible] == 0,
            known_of,
            known_of if seen is None else self.matrix(seen)[eligible],
            targets_of,
            latest_times(known_matrix, self.ratings.times[known])[eligible],
        )

    def check(self, *groups: Sequence[EvalSplit]) -> None:
        """Check that each group of splits evaluates enough users.

        Raises:
            DataError: there are too few.
        """
        users = [{user for split in splits for user in split.users.tolist()} for splits in groups]
        fewest = min(map(len, users))
        if fewest < MIN_USERS:
            raise DataError(
                f"only {fewest} users of {self.ratings.facts.get('source')} can be evaluated by this "
                f"protocol, at least {MIN_USERS} are needed: use more data or another protocol"
            )


def temporal(ratings: Ratings, *, seed: int) -> RatingsSplit:
    """Split at several moments; models are fitted on nothing later (Ji et al. 2023, Meng et al. 2020).

    Ratings of 4 and more are the events; lists leave out what a user has rated lower, too. Each cut in time
    leaves a share of the events in the past, on which models are fitted anew, as before going live (rolling
    origin; Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 2021). The question is what
    people take until the next cut. Users with events before the cut are folded in from those; new users from
    the first 80 % of what they took since. Windows in which nobody can be asked are left out. The windows of
    validation end before those of the test begin.
    """
    events = _Events(ratings)
    generator = np.random.default_rng(seed)
    liked = ratings.times[ratings.at_least(LIKED)]
    if not len(liked):
        raise DataError(f"no rating in {ratings.facts.get('source')} is {LIKED:g} or more")
    cuts = [*np.quantile(liked, [*VALIDATION_CUTS, *TEST_CUTS]), np.inf]
    windows = [_after(events, start, end, generator) for start, end in pairwise(cuts)]
    validation = [split for split in windows[: len(VALIDATION_CUTS)] if len(split.users)]
    test = [split for split in windows[len(VALIDATION_CUTS) :] if len(split.users)]
    events.check(validation, test)
    return RatingsSplit(validation, test, {"validation": _kinds(validation), "test": _kinds(test)})


def _kinds(splits: Sequence[EvalSplit]) -> dict[str, int]:
    """Return how many users are asked who were known at a cut, and who were new."""
    is_new = np.concatenate([split.is_new for split in splits])
    return {"known_users": int(np.count_nonzero(~is_new)), "new_users": int(np.count_nonzero(is_new))}


def _after(events: _Events, start: float, end: float, generator: np.random.Generator) -> EvalSplit:
    users, times = events.ratings.users, events.ratings.times
    liked = events.ratings.at_least(LIKED)
    past, window = liked & (times < start), liked & (times >= start) & (times < end)
    has_past = np.bincount(users[past], minlength=events.ratings.shape[0]) > 0
    is_new = window & ~has_past[users]
    early = is_new & (_position(users, times, is_new) < _share(users, is_new, FOLD_IN_SHARE))
    known = past | early
    until = latest_times(events.matrix(known), times[known])
    seen = known | (~liked & (times <= np.where(has_past, start, until)[users]))
    return events.split(past, known, window & ~early, generator, seen=seen)


def strong(ratings: Ratings, *, seed: int) -> RatingsSplit:
    """Hold out whole users (Liang et al., Mult-VAE, 2018; Rendle et al., iALS, 2021).

    Ratings of 4 and more are the events, of users with at least five. Validation and test have a fifth of the
    users each, 10,000 at most; models are fitted on all other users, also for the test. A held-out user is
    folded in from 80 % of their events, drawn at random, and asked for the rest.
    """
    liked = ratings.chosen(ratings.at_least(LIKED))
    enough = np.bincount(liked.users) >= MIN_EVENTS_STRONG
    events = _Events(liked.chosen(enough[liked.users]))
    users, items = events.ratings.users, events.ratings.items
    generator = np.random.default_rng(seed)
    order = generator.permutation(events.ratings.shape[0])
    held_out = min(MAX_USERS, int(len(order) * HELD_OUT_USERS))
    group = np.zeros(len(order), dtype=np.int8)
    group[order[:held_out]], group[order[held_out : 2 * held_out]] = VALIDATION, TEST
    of_user = group[users]
    train = of_user == 0
    # No model can know an item that no training user took; as in the papers, it leaves the catalogue.
    kept = (np.bincount(items[train], minlength=events.ratings.shape[1]) > 0)[items]
    position = _position(users, generator.random(len(users)), kept)
    fold_in = position < _share(users, kept, FOLD_IN_SHARE)

    def split(number: int) -> EvalSplit:
        asked = kept & (of_user == number)
        return events.split(train, asked & fold_in, asked & ~fold_in, generator)

    validation, test = [split(VALIDATION)], [split(TEST)]
    events.check(validation, test)
    return RatingsSplit(validation, test, {"held_out_users": held_out})


def random(ratings: Ratings, *, seed: int) -> RatingsSplit:
    """Hold out a random tenth of each user's events twice (RecBole's setting, Zhao et al. 2021).

    Ratings of 3 and more are the events. Users and items with fewer than ten are dropped until none is left.
    Each user's events are split 80/10/10. Models are fitted on the 80 %, also for the test; the events of
    validation are masked in the test.
    """
    events = _Events(core(ratings.chosen(ratings.at_least(LIKED_RANDOM)), CORE))
    users = events.ratings.users
    generator = np.random.default_rng(seed)
    counts = np.bincount(users)
    position = _position(users, generator.random(len(users)), np.ones(len(users), dtype=np.bool_))
    held_out = np.maximum(1, counts // 10)
    in_test = position < held_out[users]
    in_validation = ~in_test & (position < 2 * held_out[users])
    train = ~in_test & ~in_validation
    validation = [events.split(train, train, in_validation, generator)]
    test = [events.split(train, train, in_test, generator, seen=~in_test)]
    events.check(validation, test)
    return RatingsSplit(validation, test, {"core": CORE})


def core(ratings: Ratings, k: int) -> Ratings:
    """Drop users and items with fewer than ``k`` ratings until none is left.

    Raises:
        DataError: no rating is left.
    """
    while True:
        users, items = np.bincount(ratings.users), np.bincount(ratings.items)
        kept = (users >= k)[ratings.users] & (items >= k)[ratings.items]
        if kept.all():
            return ratings
        ratings = ratings.chosen(kept)


PROTOCOLS: dict[str, Callable[..., RatingsSplit]] = {
    Protocol.TEMPORAL: temporal,
    Protocol.STRONG: strong,
    Protocol.RANDOM: random,
}


def _position(users: NDArray[np.int32], keys: NDArray[Any], chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return int64[n], the position of each chosen event among its user's, from 0, in the order of keys."""
    rows = np.flatnonzero(chosen)
    order = rows[np.lexsort((keys[rows], users[rows]))]
    sizes = np.bincount(users[rows], minlength=int(users.max()) + 1)
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    position = np.zeros(len(users), dtype=np.int64)
    position[order] = np.arange(len(order)) - starts[users[order]]
    return position


def _share(users: NDArray[np.int32], chosen: NDArray[np.bool_], share: float) -> NDArray[np.float64]:
    """Return float64[n], for each event ``share`` of its user's chosen events, rounded down."""
    sizes = np.bincount(users[chosen], minlength=int(users.max()) + 1)
    return np.asarray(np.floor(share * sizes)[users], dtype=np.float64)
