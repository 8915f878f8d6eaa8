"""Reads the user files of ml-1m and ml-100k. Only the age is kept.

Gender, occupation and zip code have no column in Dataflix. Names and places are invented.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from dataflix_loader.movielens.formats import FileKind, Format, file_format
from dataflix_loader.movielens.rejects import InvalidLineError

_ID = re.compile(r"[1-9][0-9]{0,16}")
_FIELDS = 5

# ml-1m gives the lower bound of an age group; the middle of the group is closer to the truth. The first group
# is "under 18", the last "56 and above".
_MIDDLE_OF_GROUP = {1: 16, 18: 21, 25: 30, 35: 39, 45: 47, 50: 53, 56: 60}

_MAX_AGE = 120


class User(NamedTuple):
    """A user and their age in years when the data were collected."""

    user_id: int
    age: int


def user_parser(format_: Format) -> Callable[[str], User]:
    """Return a parser for lines about users. It rejects an id that stands in an earlier line too."""
    seen: set[int] = set()
    delimiter = file_format(format_, FileKind.USERS).delimiter
    age_field = {Format.DAT: 2, Format.UDATA: 1}[format_]

    def parse(line: str) -> User:
        fields = line.split(delimiter)
        if fields == [""]:
            raise InvalidLineError("empty line")
        if len(fields) != _FIELDS:
            raise InvalidLineError(f"wrong number of fields: {len(fields)} instead of {_FIELDS}")
        if not _ID.fullmatch(fields[0]):
            raise InvalidLineError("bad user id: must be a whole number above 0")
        user_id, raw_age = int(fields[0]), fields[age_field]
        if user_id in seen:
            raise InvalidLineError(f"duplicate user: id {user_id} stands in an earlier line too")
        if not re.fullmatch("[0-9]{1,3}", raw_age) or not 1 <= int(raw_age) <= _MAX_AGE:
            raise InvalidLineError(f"bad age: must be a whole number from 1 to {_MAX_AGE}")
        seen.add(user_id)
        age = int(raw_age)
        return User(user_id, _MIDDLE_OF_GROUP.get(age, age) if format_ is Format.DAT else age)

    return parse
