"""Reads what ml-1m and ml-100k tell about people: of it only the age is kept.

Gender, occupation and zip code have no column in Dataflix; names and places are invented.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from dataflix_loader.movielens.dataset import Format
from dataflix_loader.movielens.rejects import MalformedError

_ID = re.compile(r"[1-9][0-9]{0,16}")
_FIELDS = 5

# ml-1m tells the lower bound of an age group; the middle of the group is nearer to the truth. The first group
# is "under 18", the last "56 and above".
_MIDDLE_OF_GROUP = {1: 16, 18: 21, 25: 30, 35: 39, 45: 47, 50: 53, 56: 60}

_OLDEST = 120


class Person(NamedTuple):
    """A user and their age in years when the data were collected."""

    user_id: int
    age: int


def person_parser(format_: Format) -> Callable[[str], Person]:
    """Return what parses a line about a person; it refuses an id that it has seen before."""
    seen: set[int] = set()
    delimiter, age_field = {Format.DAT: ("::", 2), Format.UDATA: ("|", 1)}[format_]

    def parse(line: str) -> Person:
        fields = line.split(delimiter)
        if fields == [""]:
            raise MalformedError("empty line")
        if len(fields) != _FIELDS:
            raise MalformedError(f"wrong number of fields: {len(fields)} instead of {_FIELDS}")
        if not _ID.fullmatch(fields[0]):
            raise MalformedError("bad user id: must be a whole number above 0")
        user_id, raw_age = int(fields[0]), fields[age_field]
        if user_id in seen:
            raise MalformedError(f"duplicate user: id {user_id} stands in an earlier line too")
        if not re.fullmatch("[0-9]{1,3}", raw_age) or not 1 <= int(raw_age) <= _OLDEST:
            raise MalformedError(f"bad age: must be a whole number from 1 to {_OLDEST}")
        seen.add(user_id)
        age = int(raw_age)
        return Person(user_id, _MIDDLE_OF_GROUP.get(age, age) if format_ is Format.DAT else age)

    return parse
