"""Invented users: the same for the same id, plausible, and nobody's."""

import re
from collections import Counter

from dataflix_loader.synthetic_users import COLUMNS, SyntheticUsers

USERS = SyntheticUsers("people.example.org")


def rows(user_ids: list[int], created_epoch: int = 1_000_000_000) -> list[dict[str, object]]:
    return [
        dict(zip(COLUMNS, row, strict=True)) for row in USERS.rows(user_ids, [created_epoch] * len(user_ids))
    ]


def test_a_user_depends_on_the_id_alone() -> None:
    some, more = rows([7, 3, 100_000]), rows(list(range(1, 200)))
    assert some[0] == more[6]
    assert some[1] == more[2]
    assert rows([100_000])[0] == some[2]


def test_names_and_addresses_satisfy_the_constraints_of_the_table() -> None:
    users = rows(list(range(1, 3001)))
    for user in users:
        assert re.fullmatch(r"[a-z]+\.[a-z]+[0-9]+", str(user["username"]))
        assert user["email"] == f"{user['username']}@people.example.org"
        assert user["first_name"]
        assert user["last_name"]
        assert (user["state"] is not None) == (user["country"] == "United States")
    assert len({user["username"] for user in users}) == len(users)


def test_most_live_in_the_united_states_and_there_in_large_states() -> None:
    users = rows(list(range(1, 5001)))
    countries = Counter(user["country"] for user in users)
    states = Counter(user["state"] for user in users if user["state"])
    assert 0.65 < countries["United States"] / len(users) < 0.75
    assert len(countries) > 8
    assert states.most_common(1)[0][0] == "CA"
    assert len(states) == 51


def test_users_are_16_or_older_when_they_join_unless_their_age_is_known() -> None:
    for user in rows(list(range(1, 500))):
        assert 2001 - 76 <= int(str(user["birth_year"])) <= 2001 - 16
    known = next(iter(USERS.rows([1], [0], [1990])))
    assert known[COLUMNS.index("birth_year")] == 1990
