"""Whom an erasure leaves in a group of fewer than five can't be told apart by region and age."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflix_elt.erasure import small_groups
from dataflix_elt.erasure.erase import erase
from dataflix_elt.tables import table_named
from dataflix_testkit.long_mode import only_long

from ..support.engines import Engines

NORTH = ("Norway", "North", "born 1980 to 1989")
PERU = ("Peru", None, "born 1970 to 1979")
NORWAY = ("Norway", None, None)
NOTHING = (None, None, None)
Group = tuple[str | None, ...]


# dbt's mart, and what a build that was killed leaves of it.
MART, LEFT = "analytics.dim_users", "analytics.dim_users__dbt_backup"


@pytest.fixture
def mart(request: pytest.FixtureRequest, engines: Engines) -> Iterator[str]:
    path = str(request.param)
    engines.admin.command(
        f"CREATE TABLE {path} (user_id Int64, country LowCardinality(Nullable(String)),"
        " state LowCardinality(Nullable(String)), age_band LowCardinality(Nullable(String)))"
        " ENGINE = MergeTree ORDER BY user_id"
    )
    yield path
    engines.admin.command(f"DROP TABLE {path} SYNC")


@pytest.mark.parametrize(
    ("mart", "sizes", "erased", "left"),
    [
        # The four would be the only ones who show nothing, so the smallest other group joins them.
        (MART, {NORTH: 5, PERU: 6, NORWAY: 9}, {NORTH: 1}, {NOTHING: 10, NORWAY: 9}),
        (LEFT, {NORTH: 5, PERU: 6, NORWAY: 9, NOTHING: 7}, {NORTH: 4}, {NOTHING: 8, PERU: 6, NORWAY: 9}),
        *(
            pytest.param(MART, *case, marks=only_long)
            for case in (
                ({NORTH: 5, PERU: 6}, {NORTH: 5}, {PERU: 6}),
                ({NORTH: 6, PERU: 6}, {NORTH: 1}, {NORTH: 5, PERU: 6}),
                ({NORTH: 9, NOTHING: 5}, {NOTHING: 2}, {NOTHING: 12}),
                ({NORTH: 5, PERU: 5, NORWAY: 5}, {NORTH: 3, PERU: 3}, {NOTHING: 9}),
            )
        ),
    ],
    indirect=["mart"],
)
def test_no_group_of_fewer_than_five_is_left(
    engines: Engines, mart: str, sizes: dict[Group, int], erased: dict[Group, int], left: dict[Group, int]
) -> None:
    count = sum(sizes.values())
    ids = [
        int(row[0])
        for row in engines.sql(
            "INSERT INTO users (username, email)"
            " SELECT gen_random_uuid(), gen_random_uuid() || '@example.org'"
            f" FROM generate_series(1, {count}) RETURNING user_id"
        )
    ]
    groups = [group for group, size in sizes.items() for _ in range(size)]
    people = list(zip(ids, groups, strict=True))
    engines.load(table_named("users"))
    # In several parts, and the members of a group not side by side.
    for start in range(3):
        engines.admin.insert(
            mart,
            [[user_id, *group] for user_id, group in people[start::3]],
            column_names=["user_id", "country", "state", "age_band"],
        )
    gone = [
        user_id
        for group, number in erased.items()
        for user_id in [user_id for user_id, shown in people if shown == group][:number]
    ]
    engines.sql("SELECT erase_user(user_id) FROM users WHERE user_id = ANY(%s)", (gone,))

    erase(engines.source, engines.warehouse, None)

    shown = engines.query(f"SELECT country, state, age_band FROM {mart}")
    assert Counter(shown) == left


def test_the_number_is_that_of_dbt() -> None:
    macro = Path(__file__).parents[3] / "dbt" / "macros" / "min_group_size.sql"
    (number,) = re.findall(r"^\s*(\d+)\s*$", macro.read_text(), re.MULTILINE)
    assert int(number) == small_groups.MIN_GROUP_SIZE
