"""The protocols: what may be learnt, what is known, what is asked, and nothing of it twice."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from dataflix_trainer.data.ratings import Ratings
from dataflix_trainer.errors import DataError
from dataflix_trainer.evaluation import protocols
from dataflix_trainer.evaluation.protocols import PROTOCOLS, EvalSplit, RatingsSplit, core


def some_ratings(seed: int, users: int = 100, items: int = 60, share: float = 0.6) -> Ratings:
    generator = np.random.default_rng(seed)
    user, item = np.nonzero(generator.random((users, items)) < share)
    stars = generator.integers(1, 11, len(user)) / 2
    # Users come and stay for a while, as in life.
    times = user * 40 + generator.integers(0, 600, len(user))
    return Ratings.from_columns(user, item, stars.astype(np.float32), times, {"source": "invented"})


def cells(matrix: csr_matrix) -> set[tuple[int, int]]:
    rows, columns = matrix.nonzero()
    return set(zip(rows.tolist(), columns.tolist(), strict=True))


def parts(split: RatingsSplit) -> list[EvalSplit]:
    return [*split.validation, *split.test]


@pytest.mark.parametrize("name", PROTOCOLS)
@given(seed=st.integers(0, 1000))
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_asked_is_known_and_everyone_has_a_question(name: str, seed: int) -> None:
    split = PROTOCOLS[name](some_ratings(seed), seed=seed)
    for part in parts(split):
        assert not cells(part.targets) & cells(part.seen)
        assert cells(part.known) <= cells(part.seen)
        assert (np.diff(part.targets.indptr) > 0).all()
        assert (np.diff(part.known.indptr) > 0).all()
        assert set(part.targets.data.tolist()) == {1.0}
        assert len(part.times) == part.train.nnz
        assert part.train.has_canonical_format
        assert part.train.shape[1] == part.known.shape[1] == part.targets.shape[1]
        assert (part.train.data > 0).all()


@pytest.mark.parametrize("name", PROTOCOLS)
def test_one_seed_is_one_split(name: str) -> None:
    ratings = some_ratings(1)
    one, same, other = (PROTOCOLS[name](ratings, seed=seed) for seed in (5, 5, 6))
    for part, again in zip(parts(one), parts(same), strict=True):
        assert cells(part.targets) == cells(again.targets)
        assert cells(part.train) == cells(again.train)
    if name != "temporal":
        assert cells(one.test[0].targets) != cells(other.test[0].targets)


def test_a_sample_asks_some_users_the_same_and_teaches_the_same() -> None:
    (whole,) = PROTOCOLS["random"](some_ratings(1), seed=1).test
    some = whole.sampled(30, seed=2)
    assert some.train is whole.train
    assert some.targets.shape[0] == 30
    everyone = [questions(whole, row) for row in range(whole.targets.shape[0])]
    taken = [everyone.index(questions(some, row)) for row in range(30)]
    assert taken == sorted(set(taken))
    again, other = (whole.sampled(30, seed=seed) for seed in (2, 3))
    assert cells(some.targets) == cells(again.targets) != cells(other.targets)
    assert whole.sampled(whole.targets.shape[0], seed=2) is whole


def questions(part: EvalSplit, row: int) -> list[list[int]]:
    return [matrix[row].indices.tolist() for matrix in (part.known, part.seen, part.targets)]


def test_temporal_learns_nothing_from_the_future() -> None:
    ratings = some_ratings(3)
    split = PROTOCOLS["temporal"](ratings, seed=1)
    is_liked = ratings.stars >= 4
    times = csr_matrix((ratings.times, (ratings.users, ratings.items)), shape=ratings.shape)
    cuts = [*np.quantile(ratings.times[is_liked], [0.5, 0.6, 0.7, 0.8, 0.9]), np.inf]
    assert (len(split.validation), len(split.test)) == (2, 3)
    for part, start, end in zip(parts(split), cuts, cuts[1:], strict=False):
        assert part.train.nnz == np.count_nonzero(is_liked & (ratings.times < start))
        assert part.times.max() < start
        asked = times[part.users].multiply(part.targets)
        assert start <= asked.data.min() <= asked.data.max() < end
        # The latest of what is known is before everything that is asked.
        assert (part.last_at <= np.array([asked[row].data.min() for row in range(len(part.users))])).all()
        assert np.diff(part.train.indptr)[part.users[part.is_new]].max(initial=0) == 0
        assert part.is_new.any()
        assert not part.is_new.all()
    facts = split.facts["test"]
    assert facts["known_users"] + facts["new_users"] == sum(len(part.users) for part in split.test)


def test_temporal_masks_what_was_rated_low_before() -> None:
    ratings = some_ratings(8)
    low = ratings.stars < 4
    times = csr_matrix((ratings.times, (ratings.users, ratings.items)), shape=ratings.shape)
    disliked = csr_matrix((np.ones(low.sum()), (ratings.users[low], ratings.items[low])), shape=ratings.shape)
    for part in PROTOCOLS["temporal"](ratings, seed=1).test:
        more = part.seen.astype(bool).astype(np.int8) - part.known.astype(bool).astype(np.int8)
        more.eliminate_zeros()
        assert more.nnz > 0
        assert more.multiply(disliked[part.users]).nnz == more.nnz
        for row in np.flatnonzero(part.is_new):
            assert times[part.users[row]].multiply(more[row]).data.max(initial=0) <= part.last_at[row]


def test_temporal_knows_new_users_by_their_first_events() -> None:
    # 47 old users in the past; 5 new ones with ten items each, in the order of their numbers.
    user = np.repeat(np.arange(52), 10)
    item = np.tile(np.arange(10), 52)
    times = np.where(user < 47, np.arange(520) % 50, 1000 + item)
    ratings = Ratings.from_columns(user, item, np.full(520, 5, np.float32), times, {"source": "invented"})
    test = PROTOCOLS["temporal"](ratings, seed=1).test[-1]
    assert test.is_new.any()
    for row in np.flatnonzero(test.is_new):
        known, asked = test.known[row].indices, test.targets[row].indices
        assert known.max() < asked.min()


def test_strong_keeps_held_out_users_out_of_training() -> None:
    split = PROTOCOLS["strong"](some_ratings(4), seed=2)
    held_out = split.facts["held_out_users"]
    assert held_out == 20
    for part in parts(split):
        assert np.count_nonzero(np.diff(part.train.indptr)) == part.train.shape[0] - 2 * held_out
        assert part.targets.shape[0] <= held_out
        share = part.known.nnz / (part.known.nnz + part.targets.nnz)
        assert 0.7 < share < 0.85
        # What nobody in training took is asked of nobody.
        learnt = set(part.train.indices.tolist())
        assert set(part.targets.indices.tolist()) <= learnt
    assert cells(split.validation[0].train) == cells(split.test[0].train)


def test_random_splits_each_user_and_masks_the_validation_in_the_test() -> None:
    ratings = some_ratings(5, users=120, items=80)
    split = PROTOCOLS["random"](ratings, seed=3)
    validation, test = parts(split)
    kept = core(ratings.chosen(ratings.stars >= 3), 10)
    assert validation.targets.shape[0] == test.targets.shape[0] == kept.shape[0]
    assert cells(test.seen) == cells(test.known) | cells(validation.targets)
    assert len(cells(test.seen) | cells(test.targets)) == len(kept)
    counts = np.bincount(kept.users)
    assert np.diff(test.targets.indptr).tolist() == np.maximum(1, counts // 10).tolist()
    # What is learnt for the test is what was learnt for the validation, as in RecBole.
    assert cells(test.train) == cells(validation.train)


@given(seed=st.integers(0, 1000), k=st.integers(2, 12))
@settings(max_examples=20)
def test_a_core_leaves_nobody_with_fewer(seed: int, k: int) -> None:
    ratings = some_ratings(seed, users=40, items=30, share=0.3)
    try:
        kept = core(ratings, k)
    except DataError:
        return
    assert np.bincount(kept.users).min() >= k
    assert np.bincount(kept.items).min() >= k
    assert len(kept) <= len(ratings)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_too_few_users_are_refused(name: str) -> None:
    with pytest.raises(DataError, match=r"only \d+ users|no rating is left"):
        PROTOCOLS[name](some_ratings(6, users=4), seed=1)


def test_many_users_are_drawn_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocols, "MAX_USERS", 12)
    split = PROTOCOLS["random"](some_ratings(7, users=120, items=80), seed=1)
    assert split.test[0].targets.shape[0] == 12
    assert split.test[0].train.shape[0] > 12
