"""Options for what a list of recommendations should be like."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from dataflix_cli.lookup import movie_id
from dataflix_cli.session import Session

Command = TypeVar("Command", bound=Callable[..., Any])

_YEAR = click.IntRange(1870, 2100)
_MINUTES = click.IntRange(1, 32_767)
_KNOB = click.FloatRange(0, 1)

_OPTIONS = (
    click.option("--genre", multiple=True, help="Only films of this genre; given again, of either."),
    click.option("--all-genres", is_flag=True, help="Only films that have every --genre."),
    click.option("--year-from", type=_YEAR, help="Earliest release year."),
    click.option("--year-to", type=_YEAR, help="Latest release year."),
    click.option("--minutes-from", type=_MINUTES, help="Shortest running time."),
    click.option("--minutes-to", type=_MINUTES, help="Longest running time."),
    click.option("--min-rating", type=click.FloatRange(0.5, 5), help="Lowest mean rating."),
    click.option("--exclude", multiple=True, metavar="MOVIE", help="Leave out this film, by id or title."),
    click.option("--diversity", type=_KNOB, help="0 the best however alike, 1 each unlike the others."),
    click.option("--freshness", type=_KNOB, help="0 years do not count, 1 the newest first."),
    click.option("--popularity", type=_KNOB, help="0 taste alone, 1 what is popular and trending."),
    click.option("--why", is_flag=True, help="Also show what each film of yours adds to a score."),
)


def wish_options(command: Command) -> Command:
    """Add the filters and knobs, which arrive as ``wishes``; see ``for_api``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def for_api(
    session: Session,
    *,
    genre: Sequence[str],
    all_genres: bool,
    exclude: Sequence[str],
    **wishes: object,
) -> dict[str, Any]:
    """Return what was asked for in the form of the API's JSON; what was not given is left out."""
    asked: dict[str, Any] = {name: value for name, value in wishes.items() if value is not None}
    if genre:
        asked["genre"] = list(genre)
    if all_genres:
        asked["genre_match"] = "all"
    if exclude:
        asked["exclude"] = [movie_id(session, name) for name in exclude]
    return asked


def as_query(asked: dict[str, Any]) -> dict[str, object]:
    """Return the same in the form of a query string: lists separated by commas."""
    return {
        name: ",".join(str(part) for part in value) if isinstance(value, list) else value
        for name, value in asked.items()
    }
