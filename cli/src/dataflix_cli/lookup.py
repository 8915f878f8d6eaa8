"""Finds the user or movie that a person names."""

import re
import sys
from typing import Any

import click

from dataflix_cli.client import Api
from dataflix_cli.errors import InputError, NotFoundError
from dataflix_cli.session import Session
from dataflix_cli.text import safe, title_and_year

# A person does not read a longer list.
CANDIDATES = 10
_TITLE_PREFIX = "title:"
# The API takes years from 1870.
_WITH_YEAR = re.compile(r"(?P<title>.+?)\s*\((?P<year>18[7-9]\d|19\d\d|20\d\d)\)\s*", re.ASCII)


def user_id(api: Api, name: str) -> int:
    """Return the id of a user who is given by id or username.

    Raises:
        NotFoundError: nobody has this username.
        InputError: the name is blank.
    """
    if name.isascii() and name.isdecimal():
        return int(name)
    if not name.strip():
        raise InputError("The user is missing: give an id or username.")
    rows = api.get("/users", q=name, limit=CANDIDATES)["data"]
    for row in rows:
        if row["username"].casefold() == name.casefold():
            found: int = row["user_id"]
            return found
    similar = ", ".join(safe(row["username"]) for row in rows)
    raise NotFoundError(
        f"There is no user named {name}.",
        f"Users whose names start with it: {similar}." if similar else "dataflix users list shows all users.",
    )


def movie_id(session: Session, name: str) -> int:
    """Return the id of a movie that is given by id, "Title" or "Title (1999)".

    If several movies match, asks on a terminal. A title that consists of digits needs the prefix "title:", as
    in "title:1917".

    Raises:
        NotFoundError: no movie has this title.
        InputError: the name is blank, or several movies match; the hint lists them.
    """
    if name.isascii() and name.isdecimal():
        return int(name)
    title = name.removeprefix(_TITLE_PREFIX).strip()
    if not title:
        raise InputError("The movie is missing: give an id or title.")
    rows = candidates(session.api, title)
    if not rows:
        raise NotFoundError(f"There is no movie titled {name}.", "dataflix movies list TEXT finds movies.")
    found: int
    if len(rows) == 1:
        found = rows[0]["movie_id"]
        return found
    if session.output.as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        listed = "\n".join(f"  {row['movie_id']}  {title_and_year(row)}" for row in rows)
        raise InputError(f"Several movies match {name}.", f"Give the id of one:\n{listed}")
    for number, row in enumerate(rows, start=1):
        click.echo(f"{number:3}  {title_and_year(row)}", err=True)
    choice = click.prompt("Which one", type=click.IntRange(1, len(rows)), err=True)
    found = rows[choice - 1]["movie_id"]
    return found


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
