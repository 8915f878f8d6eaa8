"""Finds the user or movie that a person names."""

import re
import sys
import unicodedata
from typing import Any

import click

from dataflix_cli.client import Api, path_of
from dataflix_cli.errors import InputError, NotFoundError, RefusedError
from dataflix_cli.session import Session
from dataflix_cli.source import Id, Source
from dataflix_cli.text import safe, title_and_year

# A person does not read a longer list.
CANDIDATES = 10
_ID_PREFIX, _NAME_PREFIX, _TITLE_PREFIX = "id:", "name:", "title:"
# As many rows as the API gives at once.
_PAGE = 100
# Of the largest bigint.
_MAX_DIGITS = 19
_MAX_SHOWN = 64
# The longest search that the API takes.
_MAX_SEARCH = 200
# The API takes years from 1870.
_WITH_YEAR = re.compile(r"(?P<title>.+?)\s*\((?P<year>18[7-9]\d|19\d\d|20\d\d)\)\s*", re.ASCII)


def user_id(api: Api, name: str) -> Id:
    """Return the id of a user who is given by id or username, or as "id:5" or "name:5".

    A text can be an id and a username. If it is those of two people, neither is chosen.

    Raises:
        NotFoundError: nobody has this username.
        InputError: the name is blank, "id:" has no number, or several people can be meant.
    """
    source = api.source
    if name.startswith(_ID_PREFIX):
        return _person_id(source, name.removeprefix(_ID_PREFIX))
    username = name.removeprefix(_NAME_PREFIX)
    if not username.strip():
        raise InputError(f"The {source.person} is missing: give an id or username.")
    if username == name and not source.has_number_ids:
        return _user_of_copy(api, name)
    if username == name and is_number(name):
        return _user_of_number(api, name)
    found, similar = _user_named(api, username)
    if found is not None:
        return found
    listed = ", ".join(safe(other) for other in similar)
    raise NotFoundError(
        f"There is no {source.person} named {username}.",
        f"{source.people.capitalize()} whose names start with it: {listed}."
        if listed
        else f"dataflix users list shows all {source.people}.",
    )


def _user_of_copy(api: Api, text: str) -> Id:
    """Return the id of a person of another application, where any text can be an id."""
    person = api.source.person
    try:
        is_id = bool(api.get(path_of("users", text)))
    except NotFoundError:
        is_id = False
    except RefusedError:
        # A key that is bound to another person: the API says so.
        return text
    try:
        named, _ = _user_named(api, text)
    except RefusedError:
        named = None
    if is_id and named not in (None, text):
        raise InputError(
            f"{text} is the id of one {person} and the username of another.",
            f"Give {_ID_PREFIX}{text} or {_NAME_PREFIX}{text}.",
        )
    if is_id:
        return text
    if named is None:
        raise NotFoundError(
            f"There is no {person} with the id or username {text}.",
            f"dataflix users list shows all {api.source.people}.",
        )
    return named


def _user_of_number(api: Api, number: str) -> Id:
    try:
        named, _ = _user_named(api, number)
    except RefusedError:
        # Without the right to list users, a key acts on ids; one that is bound to a user on that user alone.
        named = None
    if named is None:
        return _person_id(api.source, number)
    if len(number) > _MAX_DIGITS or named == int(number):
        return named
    try:
        api.get(path_of("users", int(number)))
    except NotFoundError:
        return named
    person = api.source.person
    raise InputError(
        f"{number} is the id of one {person} and the username of another.",
        f"Give id:{int(number)}, or name:{number} for the {person} with the id {named}.",
    )


def _user_named(api: Api, username: str) -> tuple[Id | None, list[str]]:
    """Return the user with exactly this name, or else the only one but for case and form of letters.

    Also returns the first names that start with it.
    """
    # The API gives an exact match before the names that start with it.
    rows = api.get("/users", q=username, limit=_PAGE)["data"]
    found = {row["user_id"]: row["username"] for row in rows if row["username"] == username}
    found = found or {
        row["user_id"]: row["username"] for row in rows if _folded(row["username"]) == _folded(username)
    }
    if not found:
        # Letters that look alike are one name to the API: it knows more of them than this program.
        alike = api.get("/users", q=f"{_NAME_PREFIX}{username}", limit=CANDIDATES)["data"]
        found = {
            row["user_id"]: row["username"] for row in alike if not row["username"].startswith(_NAME_PREFIX)
        }
    if len(found) > 1:
        listed = ", ".join(f"id:{safe(user)} ({safe(name)})" for user, name in sorted(found.items()))
        raise InputError(f"Several {api.source.people} are named like {username}.", f"Give one of {listed}.")
    return next(iter(found), None), [row["username"] for row in rows[:CANDIDATES]]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def is_number(name: str) -> bool:
    """Return whether a name can be an id."""
    return name.isascii() and name.isdecimal()


def _person_id(source: Source, text: str) -> Id:
    return _number(text, source.person, source) if source.has_number_ids else _text(text, source.person)


def _item_id(source: Source, text: str) -> Id:
    return _number(text, source.item, source) if source.has_number_item_ids else _text(text, source.item)


def _text(text: str, what: str) -> str:
    if not text:
        raise InputError(f"The id of the {what} is missing.")
    return text


def _number(text: str, what: str, source: Source) -> int:
    # Ids of our own begin at 1.
    if source.is_copy and is_number(text.removeprefix("-")) and len(text) <= _MAX_SHOWN:
        return int(text)
    if not is_number(text):
        raise InputError(f"{text[:_MAX_SHOWN]!r} is not the id of a {what}: it must be a whole number.")
    if len(text) > _MAX_SHOWN:
        # Python refuses to read a number of thousands of digits.
        raise NotFoundError(f"There is no {what} with an id of {len(text)} digits.")
    return int(text)


def movie_id(session: Session, name: str) -> Id:
    """Return the id of a movie that is given by id, "id:5", "Title" or "Title (1999)".

    If several movies match, asks on a terminal. A text can be an id and a title. If it is those of two
    movies, neither is chosen.

    Raises:
        NotFoundError: no movie has this title.
        InputError: the name is blank, or several movies match; the hint lists them.
    """
    source = session.api.source
    if name.startswith(_ID_PREFIX):
        return _item_id(source, name.removeprefix(_ID_PREFIX))
    if source.has_number_item_ids and is_number(name):
        if not _is_title_alone(session.api, name):
            return _item_id(source, name)
        name = f"{_TITLE_PREFIX}{name}"
    elif may_be_item_id(source, name) and is_item_of_copy(session.api, name):
        return name
    title = name.removeprefix(_TITLE_PREFIX).strip()
    if not title:
        raise InputError(f"The {source.item} is missing: give an id or title.")
    rows = candidates(session.api, title)
    if not rows:
        raise NotFoundError(
            f"There is no {source.item} titled {name}.", f"dataflix movies list TEXT finds {source.items}."
        )
    found: Id
    if len(rows) == 1:
        found = rows[0]["movie_id"]
        return found
    if session.output.as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        listed = "\n".join(f"  {safe(row['movie_id'])}  {title_and_year(row)}" for row in rows)
        raise InputError(f"Several {source.items} match {name}.", f"Give the id of one:\n{listed}")
    for number, row in enumerate(rows, start=1):
        click.echo(f"{number:3}  {title_and_year(row)}", err=True)
    choice = click.prompt("Which one", type=click.IntRange(1, len(rows)), err=True)
    found = rows[choice - 1]["movie_id"]
    return found


def may_be_item_id(source: Source, name: str) -> bool:
    """Return whether a name without a prefix can be a text that is an id of an item."""
    return not source.has_number_item_ids and bool(name.strip()) and not name.startswith(_TITLE_PREFIX)


def is_item_of_copy(api: Api, text: str) -> bool:
    """Return whether a text is the id of an item of another application.

    Raises:
        InputError: it is also the title of another item.
    """
    try:
        api.get(path_of("movies", text))
    except NotFoundError:
        return False
    titled = {row["movie_id"] for row in _search(api, text[:_MAX_SEARCH], None) if row["title"] == text}
    if titled - {text}:
        raise InputError(
            f"{text} is the id of one {api.source.item} and the title of another.",
            f"Give {_ID_PREFIX}{text} or {_TITLE_PREFIX}{text}.",
        )
    return True


def _is_title_alone(api: Api, number: str) -> bool:
    """Return whether a number is a movie's title, and not an id, too; raises InputError if it is both."""
    if len(number) > _MAX_SHOWN:
        return False
    titled = {row["movie_id"] for row in _search(api, number, None) if row["title"] == number}
    if not titled or int(number) in titled:
        return False
    try:
        api.get(path_of("movies", int(number)))
    except NotFoundError:
        return True
    raise InputError(
        f"{number} is the id of one {api.source.item} and the title of another.",
        f"Give id:{int(number)} or {_TITLE_PREFIX}{number}.",
    )


def candidates(api: Api, title: str) -> list[dict[str, Any]]:
    """Return the movies that match a title: only those with exactly this title if there are any."""
    year = None
    rows: list[dict[str, Any]] = []
    if match := _WITH_YEAR.fullmatch(title):
        wanted, year = match["title"], match["year"]
        rows = _search(api, wanted, year)
        title = wanted if rows else title
    rows = rows or _search(api, title, None)
    exact = [row for row in rows if row["title"].casefold() == title.casefold()]
    return exact or rows


def _search(api: Api, title: str, year: str | None) -> list[dict[str, Any]]:
    answer = api.get("/movies", q=title, year_from=year, year_to=year, limit=CANDIDATES)
    rows: list[dict[str, Any]] = answer["data"]
    return rows
