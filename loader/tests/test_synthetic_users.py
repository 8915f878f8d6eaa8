"""Invented people: the same for the same id, plausible, and nobody's."""

import re
from collections import Counter

from dataflix_loader.synthetic_users import COLUMNS, Personas

PEOPLE = Personas("people.example.org")


def rows(user_ids: list[int], created_epoch: int = 1_000_000_000) -> list[dict[str, object]]:
    return [
        dict(zip(COLUMNS, row, strict=True)) for row in PEOPLE.rows(user_ids, [created_epoch] * len(user_ids))
    ]


def test_a_person_depends_on_the_id_alone() -> None:
    some, more = rows([7, 3, 100_000]), rows(list(range(1, 200)))
    assert some[0] == more[6]
    assert some[1] == more[2]
    assert rows([100_000])[0] == some[2]


def test_names_and_addresses_keep_the_rules_of_the_table() -> None:
    people = rows(list(range(1, 3001)))
    for person in people:
        assert re.fullmatch(r"[a-z]+\.[a-z]+[0-9]+", str(person["username"]))
        assert person["email"] == f"{person['username']}@people.example.org"
        assert person["first_name"]
        assert person["last_name"]
        assert (person["state"] is not None) == (person["country"] == "United States")
    assert len({person["username"] for person in people}) == len(people)


def test_most_live_in_the_united_states_and_there_in_large_states() -> None:
    people = rows(list(range(1, 5001)))
    countries = Counter(person["country"] for person in people)
    states = Counter(person["state"] for person in people if person["state"])
    assert 0.65 < countries["United States"] / len(people) < 0.75
    assert len(countries) > 8
    assert states.most_common(1)[0][0] == "CA"
    assert len(states) == 51


def test_people_are_grown_up_when_they_join_unless_their_age_is_known() -> None:
    for person in rows(list(range(1, 500))):
        assert 2001 - 76 <= int(str(person["birth_year"])) <= 2001 - 16
    known = next(iter(PEOPLE.rows([1], [0], [1990])))
    assert known[COLUMNS.index("birth_year")] == 1990
