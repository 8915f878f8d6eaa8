"""Finds the user or film that a person names."""

import re
import sys
from typing import Any

import click

from dataflix_cli.client import Api
from dataflix_cli.errors import InputError, NotFoundError
from dataflix_cli.session import Session
from dataflix_cli.text import film, safe

# Enough to choose from; more would not be read.
CANDIDATES = 10
_TITLE_PREFIX = "title:"
# The years that the API takes begin in 1870.
_WITH_YEAR = re.compile(r"(?P<title>.+?)\s*\((?P<year>18[7-9]\d|19\d\d|20\d\d)\)\s*", re.ASCII)


def user_id(api: Api, name: str) -> int:
    """Return the id that ``name`` is, or that of the user so named. Raises NotFoundError, InputError."""
    if name.isascii() and name.isdecimal():
        return int(name)
    if not name.strip():
        raise InputError("A user is given by id or username, not by nothing.")
    rows = api.get("/users", q=name, limit=CANDIDATES)["data"]
    for row in rows:
        if row["username"].casefold() == name.casefold():
            found: int = row["user_id"]
            return found
    similar = ", ".join(safe(row["username"]) for row in rows)
    raise NotFoundError(
        f"There is no user named {name}.",
        f"Users whose names begin so: {similar}." if similar else "dataflix users list shows who there is.",
    )


def movie_id(session: Session, name: str) -> int:
    """Return the id that ``name`` is, or that of the film so titled; "Title (1999)" tells films apart.

    Asks when several fit and there is a terminal to ask on. A title of digits is written "title:1917".
    Raises NotFoundError, and InputError naming the candidates.
    """
    if name.isascii() and name.isdecimal():
        return int(name)
    title = name.removeprefix(_TITLE_PREFIX).strip()
    if not title:
        raise InputError("A film is given by id or title, not by nothing.")
    rows = candidates(session.api, title)
    if not rows:
        raise NotFoundError(f"No film is titled {name}.", "dataflix movies list TEXT finds films.")
    found: int
    if len(rows) == 1:
        found = rows[0]["movie_id"]
        return found
    if session.output.as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        listed = "\n".join(f"  {row['movie_id']}  {film(row)}" for row in rows)
        raise InputError(f"Several films fit {name}.", f"Give the id of one:\n{listed}")
    for number, row in enumerate(rows, start=1):
        click.echo(f"{number:3}  {film(row)}", err=True)
    choice = click.prompt("Which one", type=click.IntRange(1, len(rows)), err=True)
    found = rows[choice - 1]["movie_id"]
    return found


def candidates(api: Api, title: str) -> list[dict[str, Any]]:
    """Return the films that fit a title, just those with the very title when there are some."""
    year = None
    rows: list[dict[str, Any]] = []
    if match := _WITH_YEAR.fullmatch(title):
        wanted, year = match["title"], match["year"]
        rows = _found(api, wanted, year)
        title = wanted if rows else title
    rows = rows or _found(api, title, None)
    exact = [row for row in rows if row["title"].casefold() == title.casefold()]
    return exact or rows


def _found(api: Api, title: str, year: str | None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = api.get("/movies", q=title, year_from=year, year_to=year, limit=CANDIDATES)[
        "data"
    ]
    return rows
