"""What readers see of a person is shared by at least five people."""

import random
from collections import Counter

import pytest

from dataflix_testkit.long_mode import only_long

from .support import raw
from .support.warehouse import Warehouse

# Without any reference to the macro that the models use.
FEWEST = 5


def _people(count: int, seed: int) -> list[dict[str, object]]:
    dice = random.Random(seed)
    countries = ["Norway"] * 8 + ["Peru"] * 3 + ["Fiji", "Road", " ", None]
    people = [
        raw.user(
            user_id,
            city=f"City {user_id}",
            state=dice.choice(["North", "North", "South", f"Farm {user_id}", "", None]),
            country=dice.choice(countries),
            birth_year=dice.choice([None, 1900, 2100, *range(1950, 2005)]),
        )
        for user_id in range(1, count + 1)
    ]
    # What people type into a field can be their address.
    for person in people:
        if person["country"] == "Road":
            person["country"] = f"Road {person['user_id']}"
    return people


@pytest.mark.parametrize(
    ("count", "seed"),
    [
        (3, 1),
        (401, 5),
        *(pytest.param(*case, marks=only_long) for case in ((6, 2), (40, 3), (400, 4))),
    ],
)
def test_no_group_has_fewer_than_five_people(empty: Warehouse, count: int, seed: int) -> None:
    people = _people(count, seed)
    empty.insert("users", people)
    try:
        result = empty.dbt("build", "--select", "+dim_users", "--exclude-resource-type", "unit_test")
        assert result.exit_code == 0, result.output
        shown = empty.table("dim_users", "user_id")
    finally:
        empty.command("TRUNCATE TABLE raw.users")
    assert shown.keys() == {person["user_id"] for person in people}
    groups = Counter((row["country"], row["state"], row["age_band"]) for row in shown.values())
    assert min(groups.values()) >= min(FEWEST, count), groups
    if count < FEWEST:
        assert set(groups) == {(None, None, None)}
    if count >= 40:
        assert len(groups) > 2, "nothing is shown"
    texts = {str(value) for row in shown.values() for value in row.values()}
    assert not [text for text in texts if text.startswith(("City", "Farm", "Road"))]
    for person in people:
        row = shown[person["user_id"]]
        assert row["country"] in (person["country"], None)
        assert row["state"] in (person["state"], None)
        if row["age_band"]:
            first, last = (int(word) for word in row["age_band"].split() if word.isdecimal())
            assert first <= int(str(person["birth_year"])) <= last == first + 9


def test_a_group_of_four_fails_the_build(empty: Warehouse) -> None:
    empty.insert("users", [raw.user(n, country="Norway") for n in range(1, 10)])
    try:
        assert empty.dbt("run", "--select", "+dim_users").exit_code == 0
        update = "ALTER TABLE analytics.dim_users UPDATE country = 'Peru' WHERE user_id > 5"
        empty.command(f"{update} SETTINGS mutations_sync = 1")
        checked = empty.dbt("test", "--select", "dim_users_shows_groups_of_five")
    finally:
        empty.command("TRUNCATE TABLE raw.users")
    assert checked.failures["dim_users_shows_groups_of_five"] == 1
