"""The split: what is held out, and that later data never undo it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflix_trainer.data.holdout import MIN_EVENTS, Holdout, latest_events
from dataflix_trainer.data.interactions import Interactions

ITEMS = np.arange(100, 140, dtype=np.int64)
Events = list[tuple[int, int, float, int]]  # user, movie, weight, time

events = st.lists(
    st.tuples(
        st.integers(1, 6),
        st.sampled_from(ITEMS.tolist()),
        st.sampled_from([-1.0, 0.5, 3.0]),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=120,
    unique_by=lambda event: event[:2],
)


def built(events: Events) -> Interactions:
    ordered = sorted(events)
    users, movies, weights, times = (np.array(column) for column in zip(*ordered, strict=True))
    return Interactions.from_blocks(
        [
            (
                users.astype(np.int64),
                movies.astype(np.int64),
                weights.astype(np.float32),
                times.astype(np.int64),
            )
        ],
        ITEMS,
    )


def pairs(matrix: object, users: np.ndarray) -> set[tuple[int, int]]:
    coordinates = matrix.tocoo()  # type: ignore[attr-defined]
    return {(int(users[row]), int(ITEMS[column])) for row, column in zip(*coordinates.coords, strict=True)}


def targets_of(holdout: Holdout, interactions: Interactions) -> set[tuple[int, int]]:
    return pairs(holdout.targets, interactions.user_ids[holdout.users])


@given(events)
def test_what_is_held_out_is_the_latest_of_each_user_and_is_not_learnt_from(events: Events) -> None:
    interactions = built(events)
    holdout = latest_events(interactions, seed=1)
    trained = pairs(holdout.train, interactions.user_ids)
    targets = targets_of(holdout, interactions)
    assert not trained & targets
    for user in interactions.user_ids.tolist():
        mine = {movie: (weight, time) for u, movie, weight, time in events if u == user}
        kept = {movie for u, movie in trained if u == user}
        held_out = set(mine) - kept
        assert len(held_out) == (len(mine) // 5 if len(mine) >= MIN_EVENTS else 0)
        # Whatever is kept is not later than anything that is held out.
        assert max((mine[m][1] for m in kept), default=0) <= min((mine[m][1] for m in held_out), default=9)
        assert {m for u, m in targets if u == user} == {m for m in held_out if mine[m][0] > 0}
    assert pairs(holdout.known, interactions.user_ids[holdout.users]) <= trained
    assert np.all(np.diff(holdout.targets.indptr) >= 1)


@given(
    events, st.lists(st.tuples(st.integers(1, 8), st.sampled_from(ITEMS.tolist())), max_size=40, unique=True)
)
def test_later_events_never_bring_a_target_that_was_learnt_from(
    events: Events, added: list[tuple[int, int]]
) -> None:
    taken = {event[:2] for event in events}
    later = [(user, movie, 3.0, 50) for user, movie in added if (user, movie) not in taken]
    before, after = built(events), built(events + later)
    # Users who had too few events to be held out from are learnt from whole.
    counts = dict(zip(before.user_ids.tolist(), np.diff(before.matrix.indptr).tolist(), strict=True))
    learnt = pairs(latest_events(before, seed=1).train, before.user_ids)
    for user, movie in targets_of(latest_events(after, seed=1), after) & learnt:
        assert counts[user] < MIN_EVENTS, (user, movie)


def test_the_seed_orders_ties_and_draws_users() -> None:
    generator = np.random.default_rng(0)
    same_time = [
        (user, int(movie), 3.0, 0) for user in range(1, 40) for movie in generator.permutation(ITEMS)[:10]
    ]
    interactions = built(same_time)
    one, again, other = (latest_events(interactions, seed=seed, max_users=10) for seed in (1, 1, 2))
    assert len(one.users) == 10
    assert targets_of(one, interactions) == targets_of(again, interactions)
    assert one.users.tolist() != other.users.tolist()
    # The others are learnt from whole.
    assert one.train.nnz == interactions.count - 10 * 2


@pytest.mark.parametrize("per_user", [1, MIN_EVENTS - 1])
def test_with_few_events_nobody_is_evaluated(per_user: int) -> None:
    few = built([(user, 100 + i, 3.0, i) for user in range(1, 4) for i in range(per_user)])
    holdout = latest_events(few, seed=1)
    assert len(holdout.users) == 0
    assert holdout.train.nnz == few.count
