"""Reads the user files of ml-1m and ml-100k. Only the age is kept.

Gender, occupation and zip code have no column in Dataflix. Names and places are invented.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from dataflix_loader.movielens.fields import parse_id, shown
from dataflix_loader.movielens.formats import FileKind, Format, file_format
from dataflix_loader.movielens.lines import split_fields
from dataflix_loader.movielens.rejects import InvalidLineError, Reason
from dataflix_loader.synthetic_users import FIRST_BIRTH_YEAR, LAST_BIRTH_YEAR

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
        fields = split_fields(line, delimiter, _FIELDS)
        user_id = parse_id(fields[0], Reason.BAD_USER_ID)
        if user_id in seen:
            raise InvalidLineError(Reason.DUPLICATE_USER, f"id {user_id} stands in an earlier line too")
        raw_age = fields[age_field].strip()
        if not re.fullmatch("[0-9]{1,3}", raw_age) or not 1 <= int(raw_age) <= _MAX_AGE:
            raise InvalidLineError(
                Reason.BAD_AGE, f"{shown(raw_age)} must be a whole number from 1 to {_MAX_AGE}"
            )
        seen.add(user_id)
        age = int(raw_age)
        return User(user_id, _MIDDLE_OF_GROUP.get(age, age) if format_ is Format.DAT else age)

    return parse


def birth_year(age: int, joined_year: int) -> int:
    """Return the year of birth of a user who was `age` years old in `joined_year`.

    Raises:
        InvalidLineError: the table of users can't hold it.
    """
    year = joined_year - age
    if not FIRST_BIRTH_YEAR <= year <= LAST_BIRTH_YEAR:
        raise InvalidLineError(
            Reason.BAD_AGE,
            f"{age} in {joined_year} gives the birth year {year}; "
            f"it must be {FIRST_BIRTH_YEAR} to {LAST_BIRTH_YEAR}",
        )
    return year
