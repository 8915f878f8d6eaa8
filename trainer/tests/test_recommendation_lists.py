"""Ranking ahead of the insert: everybody once and in order, and never more parts than may be held."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from dataflix_trainer.promotion.recommendation_lists import rank_ahead

PARTS = 12


def table(part: NDArray[np.int64]) -> pa.Table:
    return pa.table({"user_id": part})


@pytest.mark.parametrize("most", [1, 3, PARTS + 1])
def test_parts_come_in_order_and_few_are_held(most: int) -> None:
    begun = 0

    def parts() -> Iterator[NDArray[np.int64]]:
        nonlocal begun
        for number in range(PARTS):
            begun += 1
            yield np.array([number], dtype=np.int64)

    taken = []
    with ThreadPoolExecutor(3) as pool:
        for rows in rank_ahead(pool, table, parts(), most):
            taken += rows["user_id"].to_pylist()
            assert begun - len(taken) < most
    assert taken == list(range(PARTS))


def test_what_a_thread_stumbles_on_ends_the_writing() -> None:
    def fail(part: NDArray[np.int64]) -> pa.Table:
        if part[0] == 2:
            raise ValueError("no weight")
        return table(part)

    with ThreadPoolExecutor(2) as pool:
        ranked = rank_ahead(pool, fail, (np.array([number]) for number in range(PARTS)), 3)
        assert [next(ranked)["user_id"].to_pylist() for _ in range(2)] == [[0], [1]]
        with pytest.raises(ValueError, match="no weight"):
            next(ranked)
