"""From columns to a matrix."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from dataflix_trainer.data.interactions import Interactions, move_columns
from dataflix_trainer.errors import DataError

ITEMS = np.array([3, 5, 8, 13, 21], dtype=np.int64)
Rows = dict[tuple[int, int], float]
rows = st.dictionaries(
    st.tuples(st.integers(1, 9), st.sampled_from(ITEMS.tolist())),
    st.sampled_from([-2.0, -0.5, 0.25, 3.0]),
    min_size=1,
    max_size=30,
)


def built(rows: Rows) -> Interactions:
    keys = sorted(rows)
    return Interactions.from_blocks(
        [
            (
                np.array([user for user, _ in keys], dtype=np.int64),
                np.array([movie for _, movie in keys], dtype=np.int64),
                np.array([rows[key] for key in keys], dtype=np.float32),
                np.array([1000 * user + movie for user, movie in keys], dtype=np.int64),
            )
        ],
        ITEMS,
    )


@given(rows)
def test_every_event_lies_in_its_cell(rows: Rows) -> None:
    interactions = built(rows)
    found = {
        (int(user), int(ITEMS[column])): float(interactions.matrix[row, column])
        for row, user in enumerate(interactions.user_ids)
        for column in interactions.matrix[row].indices
    }
    assert found == rows
    assert interactions.user_ids.tolist() == sorted({user for user, _ in rows})
    assert interactions.times.tolist() == [1000 * user + movie for user, movie in sorted(rows)]


@given(rows, st.data())
def test_wherever_blocks_end_the_matrix_is_the_same(rows: Rows, data: st.DataObject) -> None:
    whole = built(rows)
    users = np.repeat(whole.user_ids, np.diff(whole.matrix.indptr))
    movies, weights, times = ITEMS[whole.matrix.indices], whole.matrix.data, whole.times
    ends = [0, *sorted(data.draw(st.sets(st.integers(1, max(1, len(users) - 1))))), len(users)]
    blocks = [(users[a:b], movies[a:b], weights[a:b], times[a:b]) for a, b in pairwise(ends) if a < b]
    found = Interactions.from_blocks(blocks, ITEMS)
    assert found.digest() == whole.digest()
    assert found.matrix.indices.dtype == np.int32


@given(rows, rows)
def test_digests_differ_exactly_when_the_data_do(one: Rows, other: Rows) -> None:
    assert (built(one).digest() == built(other).digest()) == (one == other)


@given(rows)
def test_moved_columns_keep_their_events(rows: Rows) -> None:
    to = np.array([4, -1, 0, 2, -1])
    moved = move_columns(built(rows).matrix, to, 6)
    dense, expected = moved.toarray(), np.zeros((moved.shape[0], 6), dtype=np.float32)
    for column, target in enumerate(to):
        if target >= 0:
            expected[:, target] = built(rows).matrix.toarray()[:, column]
    np.testing.assert_array_equal(dense, expected)


def columns(users: list[int], movies: list[int], weights: list[float]) -> Interactions:
    return Interactions.from_blocks(
        [
            (
                np.array(users, dtype=np.int64),
                np.array(movies, dtype=np.int64),
                np.array(weights, dtype=np.float32),
                np.zeros(len(users), dtype=np.int64),
            )
        ],
        ITEMS,
    )


@pytest.mark.parametrize(
    ("users", "movies", "weights", "words"),
    [
        ([1, 1], [3, 4], [1, 1], "movie 4 is in analytics.user_item_matrix but not in"),
        ([1, 1], [3, 99], [1, 1], "movie 99 "),
        ([2, 1], [3, 3], [1, 1], "user ids are not ascending"),
        ([1, 2, 1], [3, 3, 5], [1, 1, 1], "user ids are not ascending"),
        ([1, 1], [3, 3], [1, 1], "one item twice"),
        ([1, 1], [5, 3], [1, 1], "not in order"),
        ([1], [3], [0], "0 or not a finite number"),
        ([1], [3], [float("nan")], "0 or not a finite number"),
    ],
)
def test_columns_that_are_no_matrix_are_refused(
    users: list[int], movies: list[int], weights: list[float], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        columns(users, movies, weights)


def test_times_and_shape_must_fit() -> None:
    matrix = csr_matrix(np.ones((1, 5), dtype=np.float32))
    with pytest.raises(DataError, match="5 weights but 4 times"):
        Interactions(np.array([1]), ITEMS, matrix, np.zeros(4, dtype=np.int64))
    with pytest.raises(DataError, match="2 users"):
        Interactions(np.array([1, 2]), ITEMS, matrix, np.zeros(5, dtype=np.int64))
