"""A table's parts distinguish merges, which change no content, from everything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflix_elt.warehouse.parts import Parts

BEFORE = Parts("t", 0, ((1, 1), (2, 4), (6, 6)))

numbers = st.integers(0, 2**40)
marks = st.builds(
    Parts, st.uuids().map(str), numbers, st.lists(st.tuples(numbers, numbers), max_size=5).map(tuple)
)


@given(marks)
def test_parts_are_parsed_as_they_were_written(mark: Parts) -> None:
    assert Parts.parse(str(mark)) == mark


@pytest.mark.parametrize(
    "now",
    [BEFORE, Parts("t", 0, ((1, 4), (6, 6))), Parts("t", 0, ((1, 6),))],
    ids=["nothing happened", "two parts merged", "all merged"],
)
def test_merges_change_no_content(now: Parts) -> None:
    assert now.same_content(BEFORE)


@pytest.mark.parametrize(
    "now",
    [
        Parts("t", 0, (*BEFORE.blocks, (7, 7))),
        Parts("t", 0, ((1, 1), (6, 6))),
        Parts("t", 0, ((1, 1), (2, 4))),
        Parts("t", 0, ()),
        Parts("t", 8, BEFORE.blocks),
        Parts("u", 0, BEFORE.blocks),
    ],
    ids=["an insert", "a part lost", "the last part lost", "all lost", "a mutation", "a swap"],
)
def test_everything_else_changes_the_content(now: Parts) -> None:
    assert not now.same_content(BEFORE)


def test_an_empty_table_holds_nothing_until_something_comes() -> None:
    empty = Parts("t", 0, ())

    assert empty.same_content(empty)
    assert not BEFORE.same_content(empty)
